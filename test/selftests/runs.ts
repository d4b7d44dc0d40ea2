/** Programs of the selftests run here and in the kernel: the same return value, and the same packet afterwards. */

import { objectKfuncs } from '../../src/abi/object-kfuncs.ts';
import type { ProgramTypeName } from '../../src/abi/program-types.ts';
import { UnsupportedError } from '../../src/errors.ts';
import { load } from '../../src/index.ts';
import { pinToCpu, possibleCpus } from '../../src/linux/cpus.ts';
import type { ObjectSpec, ProgramSpec } from '../../src/object/spec.ts';
import type { EngineName } from '../../src/runtime/engine.ts';
import type { LoadedObject, RunInput } from '../../src/runtime/handles.ts';
import { withTailCallTargets } from '../../src/testing/test-object.ts';
import { reasonToDiffer } from './reasons.ts';

/** Types that BPF_PROG_TEST_RUN takes a packet or a context for. */
const packetTypes: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  'socket_filter',
  'sched_cls',
  'sched_act',
  'cgroup_skb',
  'lwt_in',
  'lwt_out',
  'lwt_xmit',
  'xdp',
  'flow_dissector',
]);

/** What their loops or clocks make useless or dangerous here: benchmarks, and programs that lock up on purpose. */
const notRun = /bench|lockup|deadlock|stress|timer_crash|get_ns|ktime/;

export interface RunComparison {
  readonly result: 'same' | 'differs' | 'refused-here' | 'refused-there';
  readonly detail: string;
  /** Of a difference, and of a program that is not run here; undefined where none is known. */
  readonly reason?: string;
  /** What it returned here. */
  readonly returned?: number;
}

/** undefined: nothing to run. */
export function inputOf(object: ObjectSpec, program: ProgramSpec): RunInput | undefined {
  if (program.type === undefined || notRun.test(object.name) || notRun.test(program.name)) return undefined;
  if (program.type === 'syscall') return {};
  return packetTypes.has(program.type) ? { data: new Uint8Array(64) } : undefined;
}

interface Outcome {
  readonly returnValue: number;
  readonly data: string;
}

/** The verifier alone says which types such calls are about. */
function ownsObjects(program: ProgramSpec): boolean {
  return [...program.references.values()].some(
    (reference) => reference.kind === 'kfunc' && objectKfuncs.get(reference.name)?.record !== undefined,
  );
}

export async function runHere(
  object: ObjectSpec,
  program: ProgramSpec,
  input: RunInput,
  engine: EngineName,
): Promise<Outcome> {
  const loaded = await load(object, {
    unverified: !ownsObjects(program), // verdicts are compared apart from runs
    engine,
    programs: withTailCallTargets(object, program),
    cpus: possibleCpus(),
    kconfig: { CONFIG_HZ: '250' },
  });
  return run(loaded, object, program, input);
}

export async function runThere(object: ObjectSpec, program: ProgramSpec, input: RunInput): Promise<Outcome> {
  pinToCpu(0);
  return run(
    await load(object, { target: 'linux', programs: withTailCallTargets(object, program) }),
    object,
    program,
    input,
  );
}

/**
 * Values that the kernel's own loader of these tests puts into maps first, by object (init_test_val_map in its prog_tests/verifier.c): an
 * index of 28, and a number in the last of the ints behind it that the index reaches.
 */
const presets: Readonly<Record<string, string>> = {
  'verifier_array_access.bpf.o': 'map_array_ro',
  'verifier_value_ptr_arith.bpf.o': 'map_array_48b',
};

function presetMap(loaded: LoadedObject, { name }: ObjectSpec): void {
  const map = loaded.maps[presets[name] ?? ''];
  if (map === undefined) return;
  const value = new Uint8Array(map.spec.valueSize);
  const view = new DataView(value.buffer);
  view.setUint32(0, 28, true);
  view.setUint32(28, 0xabcd_ef12, true);
  map.raw.update(new Uint8Array(map.spec.keySize), value);
}

function run(loaded: LoadedObject, object: ObjectSpec, program: ProgramSpec, input: RunInput): Outcome {
  try {
    presetMap(loaded, object);
    const { returnValue, data } = loaded.programs[program.name]!.run(input);
    return { returnValue, data: data === undefined ? '' : Buffer.from(data).toString('hex') };
  } finally {
    loaded.close();
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0]!;

export async function compareRuns(
  object: ObjectSpec,
  program: ProgramSpec,
  input: RunInput,
  engine: EngineName,
): Promise<RunComparison> {
  let there: Outcome;
  try {
    there = await runThere(object, program, input);
  } catch (error) {
    return { result: 'refused-there', detail: messageOf(error) };
  }
  try {
    const here = await runHere(object, program, input, engine);
    if (here.returnValue === there.returnValue && here.data === there.data)
      return { result: 'same', detail: '', returned: here.returnValue };
    const detail = `returns ${here.returnValue}, there ${there.returnValue}${here.data === there.data ? '' : '; other data'}`;
    const reason = reasonToDiffer(object, program);
    return { result: 'differs', detail, returned: here.returnValue, ...(reason === undefined ? {} : { reason }) };
  } catch (error) {
    const reason = error instanceof UnsupportedError ? `needs ${error.feature}` : reasonToDiffer(object, program);
    return { result: 'refused-here', detail: messageOf(error), ...(reason === undefined ? {} : { reason }) };
  }
}
