// The table that the scenario prints, row by row.

const WIDTHS = [55, 28, 28]
const line = cells => cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0)).join('  ').trimEnd()

export class Surprise extends Error {}

export function heading() {
  console.log('\n' + line(['request', 'expected', 'got', '']))
  console.log(line(WIDTHS.map(width => '─'.repeat(width)).concat('──')))
}

export function section(title) {
  console.log(`\n${title}`)
}

/** One row. `got` yields what came; it must be `expected`, or say by itself that it is `ok`. */
export async function step(request, expected, got) {
  const outcome = await got()
  const { got: text, ok } = typeof outcome === 'string' ? { got: outcome, ok: outcome === expected } : outcome
  console.log(line([`  ${request}`, expected, text, ok ? 'ok' : '✗']))
  if (!ok) throw new Surprise(`${request}: expected ${expected}, got ${text}`)
}
