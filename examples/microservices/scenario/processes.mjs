// The processes of the example: started, waited for, stopped.

import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { ROOT, SERVICES } from './settings.mjs'

const READY_WITHIN = 20_000
const STOPPED_WITHIN = 5_000

const ENVOY = resolve(ROOT, process.env.ENVOY_BIN ?? '.tools/envoy/envoy')

/** What runs: name, command, environment, and the address that answers 200 once it is ready. */
export function plan({ ports, configuration, folder, testTokens }) {
  const url = (port, path) => `http://127.0.0.1:${port}${path}`
  return [
    {
      name: 'auth-api',
      command: [process.execPath, join(SERVICES, 'auth-api/main.mjs')],
      env: {
        PORT: ports['auth-api'],
        INTERNAL_PORT: ports.internal,
        DATABASE: join(folder, 'auth.db'),
        ALLOW_TEST_TOKENS: testTokens ? '1' : '0',
      },
      ready: url(ports['auth-api'], '/.well-known/jwks.json'),
    },
    {
      name: 'orders-api',
      command: [process.execPath, join(SERVICES, 'orders-api/main.mjs')],
      env: { PORT: ports['orders-api'] },
      ready: url(ports['orders-api'], '/health'),
    },
    {
      name: 'authz-api',
      command: [process.execPath, join(SERVICES, 'authz-api/main.mjs')],
      env: {
        PORT: ports['authz-api'],
        INTERNAL_PORT: ports['authz-internal'],
        DATABASE: join(folder, 'authz.db'),
      },
      ready: url(ports['authz-api'], '/health'),
    },
    {
      name: 'inventory-api',
      command: ['python3', join(SERVICES, 'inventory-api/main.py')],
      env: { PORT: ports['inventory-api'] },
      ready: url(ports['inventory-api'], '/inventory/catalog'),
    },
    {
      name: 'envoy',
      command: [
        ...envoy(),
        ...['-c', configuration, '--concurrency', '2', '--disable-hot-restart', '--log-level', 'warning'],
        // What the scenario reads of the access log should not be ten seconds late.
        ...['--file-flush-interval-msec', '100'],
      ],
      env: {},
      ready: url(ports.admin, '/ready'),
    },
  ]
}

/** Envoy as a process, or with ENVOY=docker as a container that sees the same files and the same loopback. */
function envoy() {
  if (process.env.ENVOY === 'docker') {
    const image = process.env.ENVOY_IMAGE
    if (!image) throw new Error('ENVOY=docker needs ENVOY_IMAGE; make sets it.')
    const share = ['--network=host', '--volume', `${ROOT}:${ROOT}`, '--workdir', ROOT]
    return ['docker', 'run', '--rm', ...share, '--entrypoint', '/usr/local/bin/envoy', image]
  }
  if (!existsSync(ENVOY)) throw new Error(`there is no Envoy at ${ENVOY}: make envoy installs one.`)
  return [ENVOY]
}

export function start({ name, command, env }, folder, { detached = false } = {}) {
  const [program, ...args] = command
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}.log`)
  const log = openSync(file, 'a')
  const variables = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)]))
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...variables },
    stdio: ['ignore', log, log],
    detached,
  })
  closeSync(log)
  const started = { name, child, file, ended: null }
  started.end = new Promise(resolve => {
    child.once('error', error => resolve((started.ended = error.message)))
    child.once('exit', (code, signal) => resolve((started.ended = signal ?? `exit code ${code}`)))
  })
  return started
}

export async function ready(started, url) {
  const deadline = Date.now() + READY_WITHIN
  while (!(await answers(url))) {
    if (started.ended) throw new Error(`${started.name} ended (${started.ended}). Its log:\n${tail(started.file)}`)
    if (Date.now() > deadline) throw new Error(`${started.name} is not ready. Its log:\n${tail(started.file)}`)
    await sleep(50)
  }
}

export async function stop(started) {
  if (started.ended) return
  started.child.kill('SIGTERM')
  const kill = setTimeout(() => started.child.kill('SIGKILL'), STOPPED_WITHIN)
  await started.end
  clearTimeout(kill)
}

export function tail(file, lines = 15) {
  if (!existsSync(file)) return ''
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).map(line => `  ${line}`).join('\n')
}

function answers(url) {
  return new Promise(resolve => {
    const probe = request(url, { agent: false, timeout: 1000 }, answer => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    probe.on('timeout', () => probe.destroy())
    probe.on('error', () => resolve(false))
    probe.end()
  })
}
