/** One program's verdict, as `verify` prints it and `diff` compares it: the verifier, asked with what this machine knows. */
import { applyCoreRelocations } from '../btf/core.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { vmlinuxBtf } from '../linux/btf-vmlinux.ts';
import { possibleCpus } from '../linux/cpus.ts';
import { lacksHelper } from '../linux/features.ts';
import { kernelKconfig } from '../linux/kconfig.ts';
import { kernelSymbols } from '../linux/kernel-symbols.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { Diagnostic } from '../verifier/diagnostic.ts';
import { explained } from '../verifier/explanation/explanation.ts';
import type { Ownership } from '../verifier/ownership.ts';
import { type VerifyInput, type VerifyOptions, type VerifyStats, verify } from '../verifier/verify.ts';

export interface ProgramVerdict {
  readonly object: string;
  readonly program: string;
  /** `unsupported`: the verifier does not follow something that the program uses, and says nothing of it. */
  readonly verdict: 'accept' | 'reject' | 'unsupported';
  readonly diagnostics: readonly Diagnostic[];
  /** What is not followed; undefined for the other verdicts. */
  readonly feature?: string;
  /** Fields of the context that it uses; undefined where it was not accepted. */
  readonly contextFields?: readonly string[];
  readonly stats: VerifyStats & { readonly time_us: number };
}

/**
 * Judges as Linux 6.18 does for a loader with all capabilities that binds the program to its device. CO-RE and kernel types are those of `options.vmlinux`, or else this
 * kernel's where it shows them. @param owns is told what the program does with objects, once it is judged.
 */
export function judge(
  object: ObjectSpec,
  program: ProgramSpec,
  options: VerifyOptions = {},
  explain = false,
  owns?: (ownership: Ownership | undefined) => void,
): ProgramVerdict {
  const names = { object: object.name, program: program.name };
  const unjudged = (feature: string): ProgramVerdict => ({
    ...names,
    verdict: 'unsupported',
    diagnostics: [],
    feature,
    stats: { insns: 0, states: 0, peakStates: 0, maxStatesPerInsn: 0, time_us: 0 },
  });
  const vmlinux = options.vmlinux ?? kernelTypes();
  let relocated = program;
  if (program.coreRelocations.length > 0 && object.btf !== undefined) {
    try {
      relocated = { ...program, insns: applyCoreRelocations(program, object.btf, vmlinux ?? object.btf).insns };
    } catch (error) {
      if (!(error instanceof InputError || error instanceof UnsupportedError)) throw error;
      return unjudged(`CO-RE: ${error.message}`);
    }
  }
  let maps: ReadonlyMap<string, MapSpec>;
  try {
    maps = configured(object);
  } catch (error) {
    if (!(error instanceof InputError || error instanceof UnsupportedError)) throw error;
    return unjudged(`.kconfig: ${error.message}`);
  }
  const start = performance.now();
  const input: VerifyInput = { program: relocated, maps, license: object.license, btf: object.btf };
  // A kernel that is not this one has symbols that nobody knows here.
  const symbols = options.vmlinux === undefined && vmlinux !== undefined ? { symbolAddress, lacksHelper } : {};
  const asked = { cpus: cpus(), ...symbols, ...options, vmlinux };
  const { verdict, diagnostics, feature, stats, contextFields, ownership } = verify(input, asked);
  const time_us = Math.round((performance.now() - start) * 1000);
  owns?.(ownership);
  const said =
    verdict === 'reject' && explain
      ? diagnostics.map((each) => explained(input, each, stats.insns, asked))
      : diagnostics;
  return {
    ...names,
    verdict,
    diagnostics: said,
    ...(feature === undefined ? {} : { feature }),
    ...(contextFields === undefined ? {} : { contextFields }),
    stats: { ...stats, time_us },
  };
}

/** The kernel's options are known before programs are verified: branches that its version rules out are not followed. */
function configured({ maps, externs }: ObjectSpec): ReadonlyMap<string, MapSpec> {
  const map = maps.get('.kconfig');
  if (process.platform !== 'linux' || map === undefined) return maps;
  return new Map(maps).set(map.name, { ...map, contents: { kind: 'bytes', bytes: kernelKconfig(externs) } });
}

/** undefined for what the kernel does not show. */
function symbolAddress(name: string): bigint | undefined {
  return kernelSymbols().get(name);
}

/** undefined where there is no kernel that shows its types. */
function kernelTypes(): Btf | undefined {
  try {
    return vmlinuxBtf();
  } catch (error) {
    if (error instanceof UnsupportedError || error instanceof InputError) return undefined;
    throw error;
  }
}

/** CPUs that Linux would bound bpf_get_smp_processor_id by; the most that x86 has where this is no Linux. */
function cpus(): number {
  return process.platform === 'linux' ? possibleCpus() : 8192;
}
