/** One whole run, recorded step by step, so that a session may go forward and back in it. */
import type { Position, RegisterValue } from '../interpreter/index.ts';
import { disassembleInsn } from '../isa/disassembler.ts';
import type { LineInfo } from '../object/spec.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { toHex } from './output.ts';

export type Registers = readonly (RegisterValue | undefined)[];

export interface RecordedStep {
  readonly program: string;
  readonly slot: number;
  readonly insn: string;
  readonly line: LineInfo | undefined;
  /** Registers before the instruction, as text. */
  readonly registers: readonly string[];
  /** What a helper on a map was called with, and what it returned. */
  operation?: string;
}

/** Steps after which a session records no more. */
export const RECORDED_STEPS = 200_000;

const CALL = 0x85;
/** Helpers whose second argument is a key, and those that take a value: at their second, or behind the key. */
const KEYED: ReadonlySet<string> = new Set(
  ['lookup_elem', 'update_elem', 'delete_elem', 'lookup_percpu_elem'].map((name) => `bpf_map_${name}`),
);
const VALUES: ReadonlyMap<string, number> = new Map([
  ['bpf_map_update_elem', 3],
  ['bpf_map_push_elem', 2],
]);

export class StepRecording {
  readonly steps: RecordedStep[] = [];
  /** More steps than were recorded. */
  total = 0;
  readonly #runtime: Runtime;
  #called: RecordedStep | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  visit({ image, slot }: Position, read: () => Registers): void {
    this.total++;
    if (this.steps.length >= RECORDED_STEPS) return;
    const registers = read();
    const { program } = image;
    if (this.#called !== undefined) this.#called.operation += ` = ${registerText(registers[0])}`;
    this.#called = undefined;
    const step: RecordedStep = {
      program: program.name,
      slot,
      insn: disassembleInsn(program.insns[slot]!, program.insns[slot + 1]),
      line: program.lines.findLast((line) => line.slot <= slot),
      registers: registers.map(registerText),
    };
    const operation = this.#operation(image.program, slot, registers);
    if (operation !== undefined) {
      step.operation = operation;
      this.#called = step;
    }
    this.steps.push(step);
  }

  #operation(program: Position['image']['program'], slot: number, registers: Registers): string | undefined {
    const insn = program.insns[slot]!;
    if (insn.opcode !== CALL || insn.src !== 0) return undefined;
    const name = program.helpers.get(insn.imm)?.name;
    const address = Number(registers[1]?.value ?? 0n);
    const map = [...program.mapsAt.values()].find((each) => each.address === address);
    if (name === undefined || map === undefined) return undefined;
    const parts = [map.name];
    if (KEYED.has(name)) parts.push(`key ${this.#bytes(registers[2], map.keySize)}`);
    const value = VALUES.get(name);
    if (value !== undefined) parts.push(`value ${this.#bytes(registers[value], map.valueSize)}`);
    return `${name}(${parts.join(', ')})`;
  }

  #bytes(register: RegisterValue | undefined, size: number): string {
    const at = Number(register?.value ?? 0n);
    const bytes = this.#runtime.bytes().subarray(at, at + Math.min(size, 64));
    return `${toHex(bytes)}${size > 64 ? '…' : ''}`;
  }
}

/** `0x2a`, `packet+14`, `map value flows+8`; `-` for a register without a value. */
export function registerText(register: RegisterValue | undefined): string {
  if (register === undefined) return '-';
  const { value, object } = register;
  if (object === undefined) return `0x${value.toString(16)}`;
  const name = object.name === undefined ? object.kind : `${object.kind} ${object.name}`;
  const offset = BigInt.asIntN(64, value - BigInt(object.base));
  return `${name}${offset < 0n ? '' : '+'}${offset}`;
}
