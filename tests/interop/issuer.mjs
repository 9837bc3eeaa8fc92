// An issuer by `oidc-provider`: it says where its keys are, issues tokens to a client by its secret, as JWTs or opaque, and tells
// the gate what an opaque one is. Its keys can be rotated. It prints its port as JSON, and ends with its standard input.

import { createServer } from 'node:http'

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import Provider from 'oidc-provider'

const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

const client = (client_id, client_secret, grant_types) => ({
  client_id,
  client_secret,
  grant_types,
  redirect_uris: [],
  response_types: [],
})

/** A resource is `urn:<audience>:<format>`: the name of an algorithm, or `opaque`. */
function resourceServer(resource) {
  const [, audience, format] = resource.split(':')
  const common = { scope: 'read', audience, accessTokenTTL: 600 }
  if (format === 'opaque') return { ...common, accessTokenFormat: 'opaque' }
  return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg: format } } }
}

function issuer(url, keys) {
  return new Provider(url, {
    jwks: { keys },
    clients: [
      client('shop-client', 'of-the-client', ['client_credentials']),
      client(process.env.GATE_ID, process.env.GATE_SECRET, []),
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: (_, { clientId }) => clientId === process.env.GATE_ID },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_, resource) => resourceServer(resource) },
      revocation: { enabled: true },
    },
  })
}

async function newKeys() {
  return Promise.all(
    ALGORITHMS.map(async alg => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true })
      const jwk = await exportJWK(privateKey)
      return { ...jwk, alg, use: 'sig', kid: await calculateJwkThumbprint(jwk) }
    }),
  )
}

let [keys, older] = [await newKeys(), []]
let answer

const server = createServer(async (request, response) => {
  // A restart with other keys. New ones sign from then on; the older ones are still published, until they are withdrawn.
  if (request.url === '/rotate') [keys, older] = [await newKeys(), keys]
  else if (request.url === '/withdraw') older = []
  else return answer(request, response)
  restart()
  response.end()
})
const restart = () => (answer = issuer(`http://127.0.0.1:${server.address().port}`, [...keys, ...older]).callback())

server.listen(0, '127.0.0.1', () => {
  restart()
  console.log(JSON.stringify({ port: server.address().port }))
})
process.stdin.resume().on('end', () => process.exit())
