// Starts the example and plays the scenario (no flag), or leaves it running (--up) and stops it later (--down).

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { plan, ready, start, stop, tail } from './processes.mjs'
import { openConfiguration, ROOT, takenPorts } from './settings.mjs'
import { play } from './steps.mjs'
import { heading, Surprise } from './table.mjs'

const USAGE = 'usage: demo.mjs [--free-ports] [--up | --down]'
const RUN = join(ROOT, '.run')
const UP = join(RUN, 'up.json')

const shown = file => relative(process.cwd(), file) || '.'

try {
  const { values } = parseArgs({
    options: { 'free-ports': { type: 'boolean' }, up: { type: 'boolean' }, down: { type: 'boolean' } },
  })
  if (values.up && values.down) throw new Error(USAGE)
  if (values.down) await down()
  else if (values.up) await up(values['free-ports'])
  else await demo(values['free-ports'])
} catch (error) {
  const usage = error.code?.startsWith('ERR_PARSE_ARGS') ? `\n${USAGE}` : ''
  console.error(`\n${error instanceof Surprise ? 'Surprise: ' : 'demo: '}${error.message}${usage}`)
  process.exitCode = 1
}

async function demo(freePorts) {
  // Free ports are for several at once: each has its own folder.
  const folder = freePorts ? join(RUN, `free-${process.pid}`) : RUN
  const configuration = openConfiguration()
  await choosePorts(configuration, freePorts)
  const data = join(folder, 'demo')
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { recursive: true })

  const changes = [
    [['remote_jwks', 'cache_duration'], '2s'],
    [['revocation', 'refresh_interval'], '1s'],
  ].map(([member, value]) => `${member.at(-1)} ${configuration.replace(member, value)} → ${value}`)
  const { ports, provider } = configuration
  const file = configuration.write(folder)
  const source = `envoy.yaml${freePorts ? ' with free ports' : ''}`
  console.log(`Envoy runs ${shown(file)}: ${source}, and faster, so that nobody waits:`)
  console.log(`${changes.join(', ')}. The clock skew stays at 60 s.`)

  const planned = plan({ ports, configuration: file, folder: data, testTokens: true })
  clearLogs(planned, folder)
  const running = new Map()
  const services = {
    async start(name) {
      const service = planned.find(service => service.name === name)
      running.set(name, start(service, folder))
      await ready(running.get(name), service.ready)
    },
    stop: name => stop(running.get(name)),
  }
  const stopAll = () => Promise.all([...running.values()].map(stop))
  endTogether(() => [...running.values()])

  const began = performance.now()
  try {
    await Promise.all(planned.map(({ name }) => services.start(name)))
    heading()
    await play({ ports, provider, services, accessLog: () => accessLog(join(folder, 'envoy.log')) })
    console.log(`\nEverything as expected, in ${((performance.now() - began) / 1000).toFixed(0)} s.`)
  } catch (error) {
    const log = join(folder, 'envoy.log')
    if (error instanceof Surprise && existsSync(log)) error.message += `\nThe end of ${shown(log)}:\n${tail(log)}`
    throw error
  } finally {
    await stopAll()
  }
  if (freePorts) rmSync(folder, { recursive: true })
}

async function up(freePorts) {
  if (existsSync(UP)) {
    const { gateway, processes } = JSON.parse(readFileSync(UP, 'utf8'))
    if (processes.every(isRunning)) return printUp(gateway, 'It is running already.')
    await down()
  }
  const configuration = openConfiguration()
  await choosePorts(configuration, freePorts)
  const { ports } = configuration
  const data = join(RUN, 'up')
  mkdirSync(data, { recursive: true })
  const file = freePorts ? configuration.write(data) : join(ROOT, 'envoy.yaml')
  const planned = plan({ ports, configuration: file, folder: data, testTokens: false })
  clearLogs(planned, RUN)
  const started = planned.map(service => start(service, RUN, { detached: true }))
  const stayTogether = endTogether(() => started)
  try {
    await Promise.all(started.map((process, index) => ready(process, planned[index].ready)))
  } catch (error) {
    await Promise.all(started.map(stop))
    throw error
  }
  const processes = started.map(({ name, child }, index) => ({ name, pid: child.pid, command: planned[index].command }))
  writeFileSync(UP, JSON.stringify({ gateway: ports.gateway, processes }, null, 2) + '\n')
  stayTogether()
  started.forEach(({ child }) => child.unref())
  console.log(`gateway  http://127.0.0.1:${ports.gateway}`)
  console.log(`Envoy    http://127.0.0.1:${ports.admin}/stats?filter=jwt_gate`)
  console.log(`logs     ${shown(RUN)}/*.log`)
  printUp(ports.gateway, 'It is running until make down.')
}

/** Whatever ends this process ends what it started, until the function that this returns is called. */
function endTogether(started) {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }
  const onSignal = signal => Promise.all(started().map(stop)).finally(() => process.exit(codes[signal]))
  const onExit = () => started().forEach(({ ended, child }) => ended ?? child.kill('SIGKILL'))
  Object.keys(codes).forEach(signal => process.once(signal, onSignal))
  process.once('exit', onExit)
  return () => {
    Object.keys(codes).forEach(signal => process.off(signal, onSignal))
    process.off('exit', onExit)
  }
}

/** The lines of the access log, which is what Envoy writes to its standard output. */
function accessLog(file) {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.filter(line => line.startsWith('{')).map(line => JSON.parse(line))
}

function clearLogs(planned, folder) {
  planned.forEach(({ name }) => rmSync(join(folder, `${name}.log`), { force: true }))
}

function printUp(port, state) {
  const json = "-H 'content-type: application/json'"
  const user = `-d '{"username":"ada","password":"correct horse battery"}'`
  const field = `node -pe 'JSON.parse(require("fs").readFileSync(0)).access_token'`
  const gateway = `http://127.0.0.1:${port}`
  console.log(`${state} Try:\n`)
  console.log(`curl -sS ${gateway}/auth/register ${json} ${user}`)
  console.log(`TOKEN=$(curl -sS ${gateway}/auth/login ${json} ${user} | ${field})`)
  console.log(`curl -sS ${gateway}/orders -H "authorization: Bearer $TOKEN"`)
}

async function down() {
  if (!existsSync(UP)) return console.log('Nothing is running.')
  const { processes } = JSON.parse(readFileSync(UP, 'utf8'))
  const signal = name => processes.filter(isRunning).forEach(({ pid }) => process.kill(pid, name))
  signal('SIGTERM')
  for (let waited = 0; waited < 5000 && processes.some(isRunning); waited += 50) await sleep(50)
  signal('SIGKILL')
  rmSync(UP)
  console.log('Stopped.')
}

/** Whether this process is the one that was started: its id may have gone to another since. */
function isRunning({ pid, command }) {
  const file = command[1].startsWith('-') ? command[0] : command[1]
  try {
    const ps = () => execFileSync('ps', ['-p', pid, '-o', 'command='])
    const now = existsSync('/proc/self') ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : ps()
    return String(now).includes(file)
  } catch {
    return false
  }
}

async function choosePorts(configuration, freePorts) {
  if (freePorts) return configuration.useFreePorts()
  const taken = await takenPorts(configuration.ports)
  if (taken.length > 0) {
    const hint = existsSync(UP) ? 'make down stops what make up has started.' : '--free-ports takes others.'
    throw new Error(`something listens already on ${taken.join(', ')}. ${hint}`)
  }
}
