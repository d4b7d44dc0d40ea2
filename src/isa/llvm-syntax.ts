/**
 * Lines of LLVM's BPF assembler: what `llvm-objdump -d --no-show-raw-insn` prints and clang accepts.
 *
 * Beyond LLVM, because its printer drops what they say: `call pc+0x1` (a local call by distance), `call kfunc 0x5, 0x4`
 * (BTF id, module index), a fourth operand of `ld_pseudo` (upper constant), `skb[r3 + 0x4]`. `goto pc+3` is the kernel's.
 * A line that begins with ';' is a comment (objdump's source lines); elsewhere ';' separates statements.
 */
import { UnsupportedError } from '../errors.ts';
import type { AsmOutput, AsmTarget, Statement } from './asm-output.ts';
import { assignment, memoryOperand, register, registerOf, sourceOperand } from './llvm-operands.ts';
import type { AtomicOp, JumpOp } from './operation.ts';
import { registerWidth } from './operation-decode.ts';
import type { SourceLine } from './source-line.ts';

const SYMBOL = /[A-Za-z_.$][\w.$@]*/y;
const LABEL = /([A-Za-z_.$][\w.$@]*)[ \t]*:/y;
const NUMERIC_LABEL = /([0-9]+)[ \t]*:/y;
const NUMERIC_REFERENCE = /[0-9]+[bf]\b/y;
/** `0000000000000000 <main>:`, as objdump heads a function. */
const HEADING = /[0-9a-fA-F]+[ \t]+<([^>]+)>:/y;
/** `<main+0x18>`, as objdump explains a target. */
const EXPLANATION = /<[^>]*>/y;
const KEYWORD = /(exit|gotol|gotox|goto|may_goto|callx|call|if|lock|store_release|ld_pseudo)\b/y;
const COMPARISON = /s>=|s<=|s>|s<|==|!=|>=|<=|>|<|&/y;
const ATOMIC_ASSIGNMENT = /(\+|\||&|\^)=/y;
const DIRECTIVE = /[ \t]*(?:[\w.$]+:[ \t]*)?(\.[a-z_0-9]+)(?=[ \t]|$)/y;

const comparisons: Readonly<Record<string, JumpOp>> = {
  '==': 'eq',
  '!=': 'ne',
  '>': 'gt',
  '>=': 'ge',
  '<': 'lt',
  '<=': 'le',
  's>': 'sgt',
  's>=': 'sge',
  's<': 'slt',
  's<=': 'sle',
  '&': 'set',
};
const atomicAssignments: Readonly<Record<string, AtomicOp>> = { '+': 'add', '|': 'or', '&': 'and', '^': 'xor' };

/** Directives that say nothing about the code of one section. */
const harmless = new Set([
  '.text',
  '.globl',
  '.global',
  '.local',
  '.weak',
  '.hidden',
  '.type',
  '.size',
  '.p2align',
  '.file',
  '.ident',
  '.addrsig',
  '.addrsig_sym',
]);

/** Reads one line: labels and statements. */
export function parseLlvmLine(source: SourceLine, output: AsmOutput): void {
  if (source.text[source.position] === ';') return;
  DIRECTIVE.lastIndex = 0;
  const directive = DIRECTIVE.exec(source.text)?.[1];
  const comment = directive === undefined ? source.text.search(/#|\/\//) : source.text.search(/\/\/|#[^"]*$/);
  const end = comment < 0 ? source.text.length : comment;
  if (directive !== undefined) {
    statements(source.cut(end), output);
    return;
  }
  let start = 0;
  while (start <= end) {
    const semicolon = source.text.indexOf(';', start);
    const stop = semicolon < 0 || semicolon > end ? end : semicolon;
    statements(source.cut(stop, start), output);
    start = stop + 1;
  }
}

function statements(line: SourceLine, output: AsmOutput): void {
  for (;;) {
    const start = line.position;
    const label = line.take(HEADING) ?? line.take(LABEL);
    if (label !== undefined) {
      output.define(line, label[1]!, start);
      continue;
    }
    const numeric = line.take(NUMERIC_LABEL);
    if (numeric === undefined) break;
    output.defineNumeric(numeric[1]!);
  }
  if (line.atEnd) return;
  if (line.text[line.position] === '.') {
    directiveLine(line, output);
    return;
  }
  const parsed = statement(line);
  line.expectEnd();
  output.emit(line, parsed);
}

function directiveLine(line: SourceLine, output: AsmOutput): void {
  const name = line.take(SYMBOL)?.[0] ?? line.fail('expected a directive');
  if (harmless.has(name)) return;
  if (name !== '.8byte' && name !== '.quad')
    throw new UnsupportedError(
      `assembler directive ${name}`,
      `${line.input ?? 'assembler'}, line ${line.number}: the directive ${name} is not there`,
    );
  do output.emitWord(line, line.integer('slot', 64, 'any'));
  while (line.accept(','));
  line.expectEnd();
}

function statement(line: SourceLine): Statement {
  switch (line.take(KEYWORD)?.[1]) {
    case 'exit':
      return { operation: { kind: 'exit' } };
    case 'goto': {
      const [off, target] = jumpTarget(line, 'off');
      return { operation: { kind: 'jump', long: false, off }, target };
    }
    case 'gotol': {
      const [off, target] = jumpTarget(line, 'imm');
      return { operation: { kind: 'jump', long: true, off }, target };
    }
    case 'may_goto': {
      const [off, target] = jumpTarget(line, 'off');
      return { operation: { kind: 'may-goto', off }, target };
    }
    case 'gotox':
      return { operation: { kind: 'jump-indirect', dst: registerOf(line, 64) } };
    case 'callx':
      return { operation: { kind: 'call-register', dst: registerOf(line, 64) } };
    case 'call':
      return call(line);
    case 'if':
      return branch(line);
    case 'lock':
      return lock(line);
    case 'store_release': {
      line.expect('(');
      const { size, base, off } = memoryOperand(line, '(');
      line.expect(',');
      const src = registerOf(line, registerWidth(size));
      line.expect(')');
      return { operation: { kind: 'store-release', size, dst: base, src, off } };
    }
    case 'ld_pseudo': {
      const dst = registerOf(line, 64);
      line.expect(',');
      const source = line.int32('source');
      if (source < 0 || source > 15) line.fail('the source of ld_pseudo has 4 bits');
      line.expect(',');
      const low = line.int32('constant', 'any');
      const high = line.accept(',') ? line.int32('constant', 'any') : 0;
      return { operation: { kind: 'lddw', dst, source, low, high } };
    }
  }
  if (line.text[line.position] === '*') return { operation: store(line) };
  return assignment(line);
}

function store(line: SourceLine): Statement['operation'] {
  const { size, base, off } = memoryOperand(line, '*(');
  line.expect('=');
  const operand = line.atNumber ? sourceOperand(line, 64) : undefined;
  if (operand !== undefined) return { kind: 'store', size, dst: base, off, ...operand };
  const start = line.position;
  const { number, width } = register(line);
  if (width === 32 && size === 8) line.fail('a store of 64 bits needs an r register', start);
  return { kind: 'store', size, source: 'reg', dst: base, src: number, imm: 0, off };
}

function lock(line: SourceLine): Statement {
  const { size, base, off } = memoryOperand(line, '*(');
  const op = line.take(ATOMIC_ASSIGNMENT)?.[1] ?? line.fail(`expected +=, |=, &= or ^=${line.found()}`);
  if (size !== 4 && size !== 8) line.fail('atomic operations have 32 or 64 bits');
  const start = line.position;
  const { number, width } = register(line);
  if (width === 32 && size === 8) line.fail('an atomic operation of 64 bits needs an r register', start);
  return {
    operation: { kind: 'atomic', op: atomicAssignments[op]!, fetch: false, size, dst: base, src: number, off },
  };
}

function branch(line: SourceLine): Statement {
  const { number: dst, width } = register(line);
  const comparison = line.take(COMPARISON)?.[0] ?? line.fail(`expected a comparison${line.found()}`);
  const operand = sourceOperand(line, width);
  line.expect('goto');
  const [off, target] = jumpTarget(line, 'off');
  return { operation: { kind: 'branch', op: comparisons[comparison]!, width, dst, ...operand, off }, target };
}

/** `+0x3 <main+0x20>`, `-1`, `3`, `pc+3`, `label`, `1f`. */
function jumpTarget(line: SourceLine, field: 'off' | 'imm'): [number, AsmTarget | undefined] {
  const position = line.position;
  const numeric = line.take(NUMERIC_REFERENCE)?.[0];
  if (numeric !== undefined) return [0, { label: numeric, position, field }];
  line.take(/pc(?=[ \t]*[+-])/y);
  if (line.atNumber) {
    const distance = field === 'off' ? line.int16('distance', 'none') : line.int32('distance', 'none');
    line.take(EXPLANATION);
    return [distance, undefined];
  }
  const label = line.take(SYMBOL)?.[0] ?? line.fail(`expected a distance or a label${line.found()}`);
  return [0, { label, position, field }];
}

function call(line: SourceLine): Statement {
  if (line.take(/kfunc(?=[ \t]+[0-9-])/y) !== undefined) {
    const imm = line.int32('BTF id', 'any');
    const off = line.accept(',') ? line.int16('module index') : 0;
    return { operation: { kind: 'call', target: 'kfunc', imm, off } };
  }
  if (line.atNumber)
    return { operation: { kind: 'call', target: 'helper', imm: line.int32('helper id', 'any'), off: 0 } };
  const [imm, target] = jumpTarget(line, 'imm');
  return { operation: { kind: 'call', target: 'local', imm, off: 0 }, target };
}
