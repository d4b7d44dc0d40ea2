/**
 * The peer uBPF, by a small C program (bench/peers/ubpf-bench.c) that the user has built against it: its path is in SLUICE_UBPF. It runs
 * programs without maps, helpers and subprograms.
 */
import { execFileSync } from 'node:child_process';
import { encodeInsns } from '../isa/encode.ts';
import type { ObjectSpec } from '../object/spec.ts';

export class UbpfPeer {
  readonly #binary: string;

  private constructor(binary: string) {
    this.#binary = binary;
  }

  static find(): UbpfPeer | undefined {
    const binary = process.env['SLUICE_UBPF'];
    return binary === undefined || binary === '' ? undefined : new UbpfPeer(binary);
  }

  /** ns a run (median), or undefined for a program that uBPF cannot run. */
  async measure(
    spec: ObjectSpec,
    name: string,
    data: Uint8Array,
    expected: number,
    options: { readonly rounds: number; readonly targetMs: number },
  ): Promise<number | undefined> {
    const program = spec.programs.get(name)!;
    const alone = [...program.references.values()].every(({ kind }) => kind === 'call');
    const helpers = program.insns.some((insn) => insn.opcode === 0x85 && insn.src === 0);
    if (!alone || helpers) return undefined;
    const code = Buffer.from(encodeInsns(program.insns)).toString('hex');
    const args = [
      code,
      Buffer.from(data).toString('hex'),
      String(options.rounds),
      String(options.targetMs),
      String(expected),
    ];
    return Number(execFileSync(this.#binary, args, { encoding: 'utf8' }));
  }
}
