// Keys and tokens by `jose`: one of each for every algorithm. Takes the claims as JSON, prints the key set and the tokens.

import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'

const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

const claims = JSON.parse(process.argv[2])
const [keys, tokens] = [[], {}]
for (const alg of ALGORITHMS) {
  const { publicKey, privateKey } = await generateKeyPair(alg)
  const jwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  keys.push({ ...jwk, alg, use: 'sig', kid })
  tokens[alg] = await new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT', kid }).sign(privateKey)
}
console.log(JSON.stringify({ jwks: { keys }, tokens }))
