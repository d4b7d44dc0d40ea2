/** Whether a program may run: the verifier's verdict on it, asked once in a process for the same program. */
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { encodeInsns } from '../isa/encode.ts';
import type { Insn } from '../isa/insn.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { type Verdict, verify } from '../verifier/verify.ts';

export interface AdmissionContext {
  readonly declaration: ProgramDeclaration;
  /** CPUs that programs may find themselves on. */
  readonly cpus: number;
  /** Types of the kernel; asked for only where the verifier does not follow the program without. */
  readonly kernelTypes: (() => Promise<Btf | undefined>) | undefined;
}

interface Question {
  readonly declaration: ProgramDeclaration;
  readonly cpus: number;
  readonly vmlinux: Btf | undefined;
}

/** Verdicts by all that they depend on, in the order of their last use. */
const known = new Map<string, Verdict>();
const MOST_KNOWN = 64;

/** Programs that are loaded from now on are verified anew, as in a new process. */
export function forgetVerdicts(): void {
  known.clear();
}

/**
 * Throws InputError `SLUICE_PROGRAM_REFUSED` with the first diagnostic, and UnsupportedError where the verifier does not follow the
 * program; both say what to do. `insns` are the program's, with CO-RE relocations applied.
 */
export async function admit(
  spec: ObjectSpec,
  program: ProgramSpec,
  insns: readonly Insn[],
  { declaration, cpus, kernelTypes }: AdmissionContext,
): Promise<Verdict> {
  const relocated = { ...program, insns };
  let verdict = judge(spec, relocated, { declaration, cpus, vmlinux: undefined });
  if (verdict.verdict === 'unsupported') {
    const vmlinux = await kernelTypes?.();
    if (vmlinux !== undefined) verdict = judge(spec, relocated, { declaration, cpus, vmlinux });
  }
  switch (verdict.verdict) {
    case 'accept':
      return verdict;
    case 'reject': {
      const { slot, problem } = verdict.diagnostics[0]!;
      const hint = `why, and what to do: sluice verify ${spec.name}:${program.name}; to run it nevertheless: --unverified, or unverified: true`;
      throw new InputError(
        'SLUICE_PROGRAM_REFUSED',
        `program ${program.name}: the verifier refuses it: ${placeOf(program, slot)}${problem.replaceAll('\n', '; ')}\n${hint}`,
        { input: spec.name },
      );
    }
    case 'unsupported':
      throw new UnsupportedError(
        `verifier: ${verdict.feature}`,
        `program ${program.name}: the verifier cannot judge it, as it does not follow ${verdict.feature}; run it unverified (--unverified, or unverified: true) if you trust it`,
      );
  }
}

function placeOf(program: ProgramSpec, slot: number | undefined): string {
  if (slot === undefined) return '';
  const line = program.lines.findLast((each) => each.slot <= slot);
  return line === undefined ? `insn ${slot}: ` : `insn ${slot} (${line.file}:${line.line}): `;
}

function judge(spec: ObjectSpec, program: ProgramSpec, question: Question): Verdict {
  const key = keyOf(spec, program, question);
  let verdict = known.get(key);
  if (verdict === undefined) {
    verdict = verify({ program, maps: spec.maps, license: spec.license, btf: spec.btf }, question);
    if (known.size >= MOST_KNOWN) known.delete(known.keys().next().value!);
  } else known.delete(key);
  known.set(key, verdict);
  return verdict;
}

function keyOf(spec: ObjectSpec, program: ProgramSpec, { declaration, cpus, vmlinux }: Question): string {
  const { type, attachType, attachTo, sleepable, frags, functions, references, insns, traits = [] } = program;
  return [
    JSON.stringify([type, attachType, attachTo, sleepable, frags, functions, [...references], spec.license, cpus]),
    JSON.stringify([[...spec.maps.values()].map(mapKey), traits], bigintAsText),
    numberOf(declaration),
    vmlinux === undefined ? 0 : numberOf(vmlinux),
    textOf(encodeInsns(insns)),
    spec.btf === undefined ? '' : textOf(spec.btf.bytes),
  ].join('\n');
}

/** What is written over between two loads, such as .rodata, is compared by its bytes. */
function mapKey(map: MapSpec): unknown {
  const { contents } = map;
  if (contents.kind === 'bytes') return { ...map, contents: textOf(contents.bytes) };
  if (contents.kind === 'struct-ops') return { ...map, contents: [textOf(contents.bytes), [...contents.programs]] };
  return contents.kind === 'references' ? { ...map, contents: [...contents.targets] } : map;
}

function bigintAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

const decoder = new TextDecoder('latin1');
function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Objects that stay what they are, by identity. */
const numbers = new WeakMap<object, number>();
let lastNumber = 0;
function numberOf(object: object): number {
  let number = numbers.get(object);
  if (number === undefined) {
    number = ++lastNumber;
    numbers.set(object, number);
  }
  return number;
}
