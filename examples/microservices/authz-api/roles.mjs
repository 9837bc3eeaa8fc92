// What each role may do, by method and path.

const RIGHTS = {
  auditor: [{ method: 'GET', path: '/orders/report' }],
}

export const isRole = name => typeof name === 'string' && Object.hasOwn(RIGHTS, name)
export const mayDo = (role, method, path) =>
  isRole(role) && RIGHTS[role].some(right => right.method === method && right.path === path)
