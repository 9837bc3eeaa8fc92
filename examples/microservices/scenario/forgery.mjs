// Tokens as an attacker makes them: from a good token and the public key, without the private one.

import { createHmac, createPublicKey, createSign, generateKeyPairSync } from 'node:crypto'

const encode = value => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const decode = part => JSON.parse(Buffer.from(part, 'base64url'))

export const claimsOf = token => decode(token.split('.')[1])

export function withClaims(token, changes) {
  const [header, payload, signature] = token.split('.')
  return [header, encode({ ...decode(payload), ...changes }), signature].join('.')
}

export function withFlippedBit(token) {
  const [header, payload, signature] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes[bytes.length >> 1] ^= 1
  return [header, payload, bytes.toString('base64url')].join('.')
}

export function withAlgNone(token, { signed }) {
  const [header, payload, signature] = token.split('.')
  return `${encode({ ...decode(header), alg: 'none' })}.${payload}.${signed ? signature : ''}`
}

/** HS256, with a text that everyone can know as the secret. */
export function signedWithText(token, text) {
  const [header, payload] = token.split('.')
  const signed = `${encode({ ...decode(header), alg: 'HS256' })}.${payload}`
  return `${signed}.${createHmac('sha256', text).update(signed).digest('base64url')}`
}

/** RS256, with a key of the attacker's own under the name of the real one. */
export function signedWithOwnKey(token) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const signed = token.split('.').slice(0, 2).join('.')
  return `${signed}.${createSign('sha256').update(signed).sign(privateKey, 'base64url')}`
}

export const pem = jwk => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
