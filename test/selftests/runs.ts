/** Programs of the selftests run here and in the kernel: the same return value, and the same packet afterwards. */
import type { ProgramTypeName } from '../../src/abi/program-types.ts';
import { load } from '../../src/index.ts';
import { pinToCpu, possibleCpus } from '../../src/linux/cpus.ts';
import type { ObjectSpec, ProgramSpec } from '../../src/object/spec.ts';
import type { EngineName } from '../../src/runtime/engine.ts';
import type { LoadedObject, RunInput } from '../../src/runtime/handles.ts';
import { withTailCallTargets } from '../../src/testing/test-object.ts';

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

export async function runHere(
  object: ObjectSpec,
  program: ProgramSpec,
  input: RunInput,
  engine: EngineName,
): Promise<Outcome> {
  const loaded = await load(object, { engine, programs: withTailCallTargets(object, program), cpus: possibleCpus() });
  return run(loaded, program, input);
}

export async function runThere(object: ObjectSpec, program: ProgramSpec, input: RunInput): Promise<Outcome> {
  pinToCpu(0);
  return run(await load(object, { target: 'linux', programs: withTailCallTargets(object, program) }), program, input);
}

function run(loaded: LoadedObject, program: ProgramSpec, input: RunInput): Outcome {
  try {
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
    return { result: 'differs', detail, returned: here.returnValue };
  } catch (error) {
    return { result: 'refused-here', detail: messageOf(error) };
  }
}
