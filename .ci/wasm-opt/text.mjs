// A module as `wasm-dis` writes it: one node to a line, what is in it one space further in, and its end on a line of its own.

/** The forms of a module: each begins behind one space and ends with its line. */
export function forms(text) {
  return text.replace(/^\(module\n/, '').replace(/\n\)\s*$/, '').split(/\n(?= \()/);
}

/** The module of these forms. */
export function moduleOf(forms) {
  return `(module\n${forms.join('\n')}\n)\n`;
}

/** Whether a form is a function with a body. */
export function isFunction(form) {
  return form.startsWith(' (func ') && !/^ \(func \S+ \(import /.test(form);
}

/** The name of a function. */
export function nameOf(form) {
  return form.match(/^ \(func (\S+)/)[1];
}

/** How often each function is called, by its name. */
export function callsOf(forms) {
  const calls = new Map();
  for (const form of forms) {
    for (const [, name] of form.matchAll(/\(call (\$[^\s)]+)/g)) calls.set(name, (calls.get(name) ?? 0) + 1);
  }
  return calls;
}

/** The branches of a function by its lines, in their order: where each begins, and the first and the last line of its condition. */
export function branches(lines) {
  const found = [];
  const open = [];
  const end = (node, to) => {
    open.at(-1)?.parts.push({ from: node.at, to });
    const kind = node.line.match(/^ *\((br_if|if)\b/)?.[1];
    // A branch that takes a value along has it before the condition.
    if (kind) found.push({ at: node.at, condition: kind === 'if' ? node.parts[0] : node.parts.at(-1) });
  };
  lines.forEach((line, at) => {
    if (/^ *\)$/.test(line)) {
      end(open.pop(), at);
      return;
    }
    const node = { at, line, parts: [] };
    const isWhole = line.split('(').length === line.split(')').length;
    if (isWhole) end(node, at);
    else open.push(node);
  });
  return found.sort((one, other) => one.at - other.at);
}

/** The lines, some with others before or behind them. */
export function withLines(lines, before, behind) {
  return lines.flatMap((line, at) => [...(before.get(at) ?? []), line, ...(behind.get(at) ?? [])]).join('\n');
}
