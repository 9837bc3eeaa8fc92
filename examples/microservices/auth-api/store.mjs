// Users, signing keys and revocations, in one SQLite file.

import { chmodSync, rmSync } from 'node:fs'

import sqlite from 'node-sqlite3-wasm'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE, password TEXT NOT NULL, role TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS signing_keys (kid TEXT PRIMARY KEY, jwk TEXT NOT NULL, position INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS revocations (jti TEXT PRIMARY KEY, keep_until INTEGER NOT NULL) STRICT;
`

export function openStore(file) {
  // The lock is a folder beside the file; a killed process leaves it behind.
  rmSync(`${file}.lock`, { recursive: true, force: true })
  const db = new sqlite.Database(file)
  // It holds the private keys.
  chmodSync(file, 0o600)
  db.exec(SCHEMA)

  return {
    /** False if the name is taken. */
    addUser({ id, username, password, role }) {
      const sql = 'INSERT INTO users VALUES (?, ?, ?, ?) ON CONFLICT (username) DO NOTHING'
      return db.run(sql, [id, username, password, role]).changes === 1
    },
    user: username => db.get('SELECT id, username, password, role FROM users WHERE username = ?', [username]),
    /** False if there is no such user. */
    setRole: (username, role) => db.run('UPDATE users SET role = ? WHERE username = ?', [role, username]).changes === 1,

    /** Oldest first. */
    keys: () => db.all('SELECT kid, jwk FROM signing_keys ORDER BY position').map(row => JSON.parse(row.jwk)),
    addKey(jwk) {
      const position = '(SELECT coalesce(max(position), 0) + 1 FROM signing_keys)'
      db.run(`INSERT INTO signing_keys VALUES (?, ?, ${position})`, [jwk.kid, JSON.stringify(jwk)])
    },
    removeKey: kid => db.run('DELETE FROM signing_keys WHERE kid = ?', [kid]),

    revoke(jti, keepUntil) {
      db.run('INSERT INTO revocations VALUES (?, ?) ON CONFLICT (jti) DO NOTHING', [jti, keepUntil])
    },
    revocations(now) {
      db.run('DELETE FROM revocations WHERE keep_until < ?', [now])
      return db.all('SELECT jti FROM revocations ORDER BY jti').map(({ jti }) => ({ jti }))
    },

    close: () => db.close(),
  }
}
