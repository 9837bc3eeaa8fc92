// What each role may do. Everyone who registers is a customer; the operator makes clerks.

const SCOPES = {
  customer: ['orders:read', 'orders:write', 'inventory:read'],
  clerk: ['orders:read', 'inventory:read', 'inventory:write'],
}

export const isRole = name => typeof name === 'string' && Object.hasOwn(SCOPES, name)
export const scopesOf = role => SCOPES[role] ?? []
