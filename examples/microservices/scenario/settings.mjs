// Where things are, and the configuration that Envoy runs with: the one at the top level, read as YAML.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parseDocument } from 'yaml'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
export const SERVICES = join(ROOT, 'examples/microservices')

// Not in envoy.yaml: the gateway knows nothing of these.
const INTERNAL_PORTS = { internal: 3011, 'authz-internal': 3014 }

const HTTP = ['filter_chains', 0, 'filters', 0, 'typed_config']
const PROVIDER = ['typed_config', 'config', 'configuration', 'value', 'providers', 'auth-api']

export function openConfiguration() {
  const yaml = parseDocument(readFileSync(join(ROOT, 'envoy.yaml'), 'utf8'))
  const listener = ['static_resources', 'listeners', 0]
  const port = place => [...place, 'address', 'socket_address', 'port_value']
  const cluster = index =>
    port(['static_resources', 'clusters', index, 'load_assignment', 'endpoints', 0, 'lb_endpoints', 0, 'endpoint'])
  const places = { admin: port(['admin']), gateway: port(listener) }
  yaml.getIn(['static_resources', 'clusters']).toJSON().forEach(({ name }, index) => (places[name] = cluster(index)))
  const provider = [...listener, ...HTTP, 'http_filters', 0, ...PROVIDER]

  const wasm = ['typed_config', 'config', 'vm_config', 'code', 'local', 'filename']
  const module = yaml.getIn([...listener, ...HTTP, 'http_filters', 0, ...wasm])
  if (!existsSync(join(ROOT, module))) throw new Error(`there is no ${module}: make module builds it.`)

  const ports = Object.fromEntries(Object.entries(places).map(([name, place]) => [name, yaml.getIn(place)]))
  Object.assign(ports, INTERNAL_PORTS)

  return {
    ports,
    provider: yaml.getIn(provider).toJSON(),

    async useFreePorts() {
      const free = await freePorts(Object.keys(ports).length)
      for (const [index, name] of Object.keys(ports).entries()) {
        ports[name] = free[index]
        if (places[name]) yaml.setIn(places[name], free[index])
      }
    },

    /** Returns what it was. */
    replace(member, value) {
      const was = yaml.getIn([...provider, ...member])
      yaml.setIn([...provider, ...member], value)
      this.provider = yaml.getIn(provider).toJSON()
      return was
    },

    write(folder) {
      mkdirSync(folder, { recursive: true })
      const file = join(folder, 'envoy.yaml')
      writeFileSync(file, yaml.toString())
      return file
    },
  }
}

/** The names of the ports that something else listens on. */
export async function takenPorts(ports) {
  const tries = Object.entries(ports).map(async ([name, port]) => {
    const listener = await listen(port).catch(() => null)
    listener?.close()
    return listener ? [] : [`${port} (${name})`]
  })
  return (await Promise.all(tries)).flat()
}

async function freePorts(count) {
  // All are held until the last is found, so that they differ.
  const listeners = await Promise.all(Array.from({ length: count }, () => listen(0)))
  const ports = listeners.map(listener => listener.address().port)
  await Promise.all(listeners.map(listener => new Promise(resolve => listener.close(resolve))))
  return ports
}

function listen(port) {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
