// Who has which role, in one SQLite file. Users are known by the ids that their tokens name.

import { rmSync } from 'node:fs'

import sqlite from 'node-sqlite3-wasm'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS assignments (user TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (user, role)) STRICT;
`

export function openStore(file) {
  // The lock is a folder beside the file; a killed process leaves it behind.
  rmSync(`${file}.lock`, { recursive: true, force: true })
  const db = new sqlite.Database(file)
  db.exec(SCHEMA)

  return {
    roles: user => db.all('SELECT role FROM assignments WHERE user = ?', [user]).map(({ role }) => role),
    grant: (user, role) => db.run('INSERT INTO assignments VALUES (?, ?) ON CONFLICT DO NOTHING', [user, role]),
    /** False if the user did not have it. */
    take: (user, role) => db.run('DELETE FROM assignments WHERE user = ? AND role = ?', [user, role]).changes === 1,
    close: () => db.close(),
  }
}
