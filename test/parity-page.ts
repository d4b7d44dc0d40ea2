/** The page docs/parity.md, from the declarations in src/abi, the exports of the plane and the hooks, and the record of long sequences on maps. Written by scripts/parity.mjs. */
import { helperName, helperNames, helpers } from '../src/abi/helpers/index.ts';
import { kfuncBody, kfuncs } from '../src/abi/kfuncs.ts';
import { kfuncHooks, type LinuxKfunc, linuxKfuncs } from '../src/abi/linux-kfuncs.ts';
import { mapRules, type SizeRule } from '../src/abi/map-rules.ts';
import { type MapTypeName, mapTypes } from '../src/abi/map-types.ts';
import { ownKfuncs } from '../src/abi/own-kfuncs.ts';
import { instructionLimits, modelledHelpers, objectLimits, refusedHelpers, refusedKfuncs } from '../src/abi/parity.ts';
import type { ReturnRule } from '../src/abi/program-declaration.ts';
import { isLinuxProgramType, ownProgramTypes, type ProgramTypeName, programTypes } from '../src/abi/program-types.ts';
import { programDeclarations } from '../src/abi/programs/index.ts';
import { hookedDeclarations } from '../src/index.ts';
import { disassembleInsn } from '../src/isa/disassembler.ts';
import type { Insn } from '../src/isa/insn.ts';
import { OPCODE } from '../src/isa/opcodes.ts';
import { describeInsn } from '../src/isa/operation-decode.ts';
import { requirementsOf } from '../src/isa/requirements.ts';
import { supportedMapTypes } from '../src/runtime/maps/plane-map.ts';
import { planeExports } from '../src/runtime/plane.ts';
import { isRunnable } from '../src/runtime/resolve.ts';
import { sequenceRecords } from './sequence-record.ts';

/** What other scripts append stands behind this line, and is kept. */
export const keepAfter = '<!-- what follows is written by other scripts -->';

const row = (...cells: readonly (string | number)[]) =>
  `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
const table = (head: readonly string[], rows: readonly string[]) =>
  [row(...head), row(...head.map(() => '---')), ...rows].join('\n');

/** What does not make another operation. */
const operands: ReadonlySet<string> = new Set(['dst', 'src', 'off', 'imm', 'low', 'high']);

/** One of each instruction: all opcodes with the offsets, immediates and sources that tell operations apart. */
function instructions(): string {
  const seen = new Map<string, string>();
  const offsets = [0, 1, 8, 16, 32];
  const immediates = [0, 1, 16, 32, 64, 0x40, 0x50, 0x41, 0x51, 0xa0, 0xa1, 0xe1, 0xf1, 0x100, 0x110];
  for (let opcode = 0; opcode < 256; opcode++)
    for (const off of offsets)
      for (const imm of immediates)
        for (const src of [0, 1, 2, 3, 4, 5, 6]) {
          const dst = opcode === OPCODE.CALL || opcode === OPCODE.EXIT ? 0 : 1;
          const insn: Insn = { opcode, dst, src, off, imm };
          const next: Insn = { opcode: 0, dst: 0, src: 0, off: 0, imm: 0 };
          const operation = describeInsn(insn, next);
          if (operation === undefined) continue;
          const text = disassembleInsn(insn, next);
          const key = JSON.stringify(operation, (name, value) =>
            operands.has(name) || (operation.kind === 'addr-space-cast' && name !== 'kind' && name !== '')
              ? undefined
              : value,
          );
          if (seen.has(key) || text.startsWith('.')) continue;
          const { groups, cpuVersion } = requirementsOf([insn, next]);
          seen.set(
            key,
            row(
              `0x${opcode.toString(16).padStart(2, '0')}`,
              `\`${text}\``,
              [...groups].find((group) => group !== 'base32') ?? 'base32',
              `v${cpuVersion}`,
              `works${instructionLimits[operation.kind] === undefined ? '' : `: ${instructionLimits[operation.kind]}`}`,
            ),
          );
        }
  return table(['opcode', 'example', 'group', 'cpu', 'JIT and interpreter'], [...seen.values()]);
}

const sizes = (rule: SizeRule) =>
  'oneOf' in rule
    ? rule.oneOf.join(' or ')
    : `${rule.min}–${rule.max}${rule.step === undefined ? '' : ` by ${rule.step}`}`;

function maps(): string {
  const rows = (Object.keys(mapTypes) as MapTypeName[]).map((type) => {
    const here = supportedMapTypes.has(type) ? 'works' : 'refused';
    if (type === 'insn_array') return row(type, '6.19', here, '', '', '', '');
    if (type === 'allocator') return row(type, 'no', here, '0', 'any', '', 'none');
    const rule = mapRules[type];
    const takes = rule.helpers === 'any' ? 'any' : rule.helpers.join(' ') || 'none';
    return row(type, rule.since, here, sizes(rule.key), sizes(rule.value), rule.flags.join(' '), takes);
  });
  return table(['type', 'Linux since', 'here', 'key bytes', 'value bytes', 'flags', 'helpers'], rows);
}

/** Why there is no sequence on maps of these types. */
const withoutSequence: Partial<Record<MapTypeName, string>> = {
  insn_array: 'Linux 6.18 has none',
  allocator: 'Linux has none',
};

const withoutRecord = () => {
  const recorded: ReadonlySet<string> = new Set(sequenceRecords.map(({ type }) => type));
  return Object.keys(mapTypes)
    .filter((type) => !recorded.has(type))
    .map((type) => `${type} (${withoutSequence[type as MapTypeName] ?? 'not run yet'})`)
    .join(', ');
};

function sequences(): string {
  const rows = sequenceRecords.map(({ type, variant, operations, seconds, mended }) =>
    row(type, variant ?? '', operations, seconds, mended ?? ''),
  );
  return table(['type', 'variant', 'operations', 'seconds, both', 'mended by it'], rows);
}

const returns = (rule: ReturnRule) =>
  typeof rule === 'string' ? rule.replace('by_target', 'by target') : `${rule.min} to ${rule.max}`;

function programs(types: readonly string[], runs: ReadonlySet<string>, exports: ReadonlySet<string>): string {
  const rows = types.map((type) => {
    const declaration = programDeclarations.get(type as ProgramTypeName)!;
    const own = [...declaration.helpers.values()];
    const here = own.filter((prototype) => isRunnable(prototype, exports)).length;
    return row(
      type,
      declaration.since,
      runs.has(type) ? 'runs' : 'refused',
      declaration.testRun ? 'yes' : 'no',
      declaration.context.layout === 'btf' ? 'arguments by BTF' : declaration.context.struct,
      `${here} of ${own.length}`,
      returns(declaration.returns),
    );
  });
  return table(['type', 'since', 'here', 'test run in Linux', 'context', 'helpers here', 'returns'], rows);
}

/** A list that stays readable; ext has the helpers of the program that it replaces. */
function programTypeNames(types: readonly string[]): string {
  const missing = Object.keys(programTypes).filter((type) => type !== 'ext' && !types.includes(type));
  if (missing.length === 0) return 'all';
  return missing.length <= 8 ? `all but ${missing.join(' ')}` : types.join(' ');
}

function helperRows(runs: ReadonlySet<string>, exports: ReadonlySet<string>) {
  const count = { works: 0, modelled: 0, refused: 0 };
  const rows = helperNames.map((bare, at) => {
    const prototype = helpers.get(at + 1)!;
    const types = [...programDeclarations.values()]
      .filter(({ type, helpers: own }) => isLinuxProgramType(type) && own.has(at + 1))
      .map(({ type }) => type);
    const reachable = types.some((type) => runs.has(type));
    const model = modelledHelpers[bare];
    const here = !(isRunnable(prototype, exports) && reachable)
      ? 'refused'
      : model === undefined
        ? 'works'
        : 'modelled';
    count[here]++;
    const who = programTypeNames(types);
    return row(
      at + 1,
      helperName(at + 1)!,
      here,
      here === 'modelled' ? model! : here === 'refused' ? (refusedHelpers[bare] ?? 'not there yet') : '',
      prototype.gplOnly ? 'GPL' : '',
      who,
    );
  });
  return {
    count,
    text: table(['number', 'helper', 'here', 'with what, or why not', 'license', 'program types in Linux'], rows),
  };
}

/** Whether a call of the kfunc runs here: the plane has its body, or the engines do it. Any type will do: the plane has the bodies of all. */
const runsHere = (name: string, exports: ReadonlySet<string>) =>
  kfuncs.has(name) && (exports.has(kfuncBody(name, 'xdp')) || kfuncs.get(name)?.engine === true);

function kfuncTable(exports: ReadonlySet<string>): string {
  const model = (name: string) => kfuncs.get(name)?.modelledWith;
  const state = ({ name }: LinuxKfunc) =>
    runsHere(name, exports) ? (model(name) === undefined ? 'works' : 'modelled') : 'refused';
  const note = ({ name }: LinuxKfunc) =>
    runsHere(name, exports)
      ? (model(name) ?? '')
      : (refusedKfuncs.find(([start]) => start.test(name))?.[1] ?? 'not there yet');
  const types = ({ hooks }: LinuxKfunc) =>
    hooks.includes('common') ? 'all' : hooks.flatMap((hook) => kfuncHooks[hook]).join(' ');
  const rows = [...linuxKfuncs.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((kfunc) => row(kfunc.name, state(kfunc), note(kfunc), kfunc.flags.join(' '), types(kfunc)));
  return table(['kfunc', 'here', 'with what, or why not', 'flags', 'program types in Linux'], rows);
}

function ownKfuncTable(exports: ReadonlySet<string>): string {
  const rows = [...ownKfuncs.values()].map(({ name, prototype, flags, hooks, since, stability }) =>
    row(
      name,
      runsHere(name, exports) ? 'works' : 'refused',
      `\`${prototype}\``,
      flags.join(' '),
      hooks.flatMap((hook) => kfuncHooks[hook]).join(' '),
      since === undefined ? 'Sluice' : `Linux ${since}`,
      stability.level,
    ),
  );
  return table(['kfunc', 'here', 'prototype', 'flags', 'program types', 'of', 'stability'], rows);
}

function ownHelperTable(exports: ReadonlySet<string>): string {
  const rows = ownProgramTypes.flatMap((type) =>
    [...programDeclarations.get(type)!.helpers.values()]
      .filter((prototype) => prototype.name !== helperName(prototype.id))
      .sort((a, b) => a.id - b.id)
      .map((prototype) =>
        row(prototype.id, prototype.name, isRunnable(prototype, exports) ? 'works' : 'refused', type),
      ),
  );
  return table(['number', 'helper', 'here', 'program type'], rows);
}

export function parityPage(): string {
  const exports = planeExports();
  const runs: ReadonlySet<string> = new Set(hookedDeclarations().map(({ type }) => type));
  const { count, text } = helperRows(runs, exports);
  const linuxRuns = Object.keys(programTypes).filter((type) => runs.has(type)).length;
  const own = [...ownKfuncs.keys()].filter((name) => runsHere(name, exports));
  return `# What Linux 6.18 has, and what runs here

Written by \`node scripts/parity.mjs\` from the declarations in src/abi, the exports of the data plane and the hooks; a test compares. What is
refused is refused at load, by name, with exit code 4. Every type and helper can be verified and loaded into the kernel (\`--target linux\`)
whether it runs here or not.

- program types: ${linuxRuns} of ${Object.keys(programTypes).length} run
- map types: ${supportedMapTypes.size} of ${Object.keys(mapTypes).length} work
- helpers: ${count.works} work, ${count.modelled} are modelled, ${count.refused} are refused, of ${helperNames.length}
- kfuncs: ${[...linuxKfuncs.keys()].filter((name) => runsHere(name, exports)).length} of ${linuxKfuncs.size} work or are modelled, and ${own.length} of ${ownKfuncs.size} that Linux 6.18 does not have

## Objects

Read are all objects of the kernel's selftests but those that libbpf does not open either.

${table(
  ['what', 'here', 'why'],
  objectLimits.map((each) => row(...each)),
)}

## Program types

${programs(Object.keys(programTypes), runs, exports)}

## Map types

On the linux target all types of the kernel work, struct_ops among them: registered by \`register()\`, or by a link (\`attachStructOps\`).

${maps()}

### Sequences here and in the kernel

Random operations on a map here and one in the kernel, from user space and from a program, each result compared
([how](maps.md#how-equal-they-are)): so many without a difference. Types without a row: ${withoutRecord()}.

${sequences()}

## Helpers

Modelled: the subject does not exist in user space, and a stand-in that the run can set takes its place.

${text}

## kfuncs

A kernel has those that it was configured for.

${kfuncTable(exports)}

## What Linux 6.18 does not have

Program types of Sluice's own run in user space alone; their helpers have numbers of their own.

${programs(ownProgramTypes, runs, exports)}

${ownHelperTable(exports)}

${ownKfuncTable(exports)}

## Instructions

One row for each operation of RFC 9669 and of Linux beyond it; both engines are held against the conformance cases and against each other.

${instructions()}

${keepAfter}
`;
}

/** The page with what others appended to the one that is there. */
export function withKept(page: string, there: string): string {
  const at = there.indexOf(keepAfter);
  return at < 0 ? page : page + there.slice(at + keepAfter.length).replace(/^\n/, '');
}
