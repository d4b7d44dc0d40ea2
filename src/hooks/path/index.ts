/**
 * hooks/path: a packet's whole way: source, programs of XDP, verdict, redirect, sk_buff, programs of tc, reader. Batches run in the plane
 * (plane/assembly/path/); this file says what a path is made of.
 */
import { InputError, UnsupportedError } from '../../errors.ts';
import { GOES_ON_DEFAULT, PATH_CARRIES_HINTS, PATH_GRO } from '../../plane/layout/path.ts';
import type { ProgramHandle, XdpHints } from '../../runtime/handles.ts';
import { UserProgram } from '../../runtime/program.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { Flight } from '../../traits/flight-epochs.ts';
import { setTraits, type Traits } from '../traits.ts';
import { LOOPBACK_IFINDEX, refusal } from '../xdp/frames.ts';
import { type Hop, PathBlock, type XdpStage } from './block.ts';
import type { PathPacket } from './packet.ts';
import { readBatch } from './reading.ts';

export { describeWay } from './description.ts';
export {
  isProgramStep,
  type PathEnd,
  type PathPacket,
  type ProgramStep,
  type SkbFields,
  type WayStep,
} from './packet.ts';

/** Packets that go together, as one NAPI poll takes them. */
const BATCH = 64;
/** Room for copies of a batch: beyond it, packets that need one are lost. */
const COPIES = 64;

/** A packet at the beginning of its way. Captured packets (`readCapture`, `generateCapture`) are such. */
export interface PathSource {
  /** From the link header on, at least 14 bytes. */
  readonly data: Uint8Array;
  readonly timestampNs?: bigint;
  readonly wireLength?: number;
  /** Default: the path's. */
  readonly ingressIfindex?: number;
  readonly rxQueueIndex?: number;
  /** What the driver knows of it. */
  readonly hints?: XdpHints;
  /** Traits that it has already. */
  readonly traits?: Traits;
}

/** A program of a chain, and the verdicts after which the next one runs (default: XDP_PASS, and 31). */
export interface ChainLink {
  readonly program: ProgramHandle;
  /** Verdicts from 0 to 31. */
  readonly goesOn?: readonly number[];
}

/** Programs of an interface, in order. Tail calls are the programs' own. */
export interface InterfacePrograms {
  /**
   * Run one after the other over the same frame, as libxdp's dispatcher runs them: the first verdict that is not among those to go on after is the verdict; behind the last
   * program it is XDP_PASS.
   */
  readonly xdp?: readonly (ProgramHandle | ChainLink)[];
  /** On tc ingress: the next one runs after TC_ACT_UNSPEC, and after what cls_bpf (programs of section `tcx/…`: tcx) does not know. */
  readonly tc?: readonly ProgramHandle[];
}

/** At least one program; all of one runtime, whose network says which interfaces there are, and which are pairs (`peer`). Without a network every index is an interface. */
export interface PathOptions extends InterfacePrograms {
  /** Interface that packets come in by (default 1), to which `xdp` and `tc` belong. */
  readonly ingressIfindex?: number;
  /** Programs of other interfaces, where packets arrive that were sent on, by index. */
  readonly interfaces?: Readonly<Record<number, InterfacePrograms>>;
  /** Segments of one TCP flow within a batch of 64 packets become one sk_buff before tc (default false). */
  readonly gro?: boolean;
  /** What the driver knows (`hints`) goes along with redirects, as if a program had stored it; default false, as in Linux: only what was stored does. */
  readonly carryHints?: boolean;
}

/**
 * Sends packets along a path, and tells of each, in order, what became of it. Lazy: batches of 64. Traits and stored hints go along with redirects; the metadata before the
 * data goes to tc as in Linux; hash, VLAN tag and time of an sk_buff come from what programs stored, else from the driver's hints.
 *
 * Where threads run CPUs of the runtime (`Cpus`), what a cpumap sends to one of them goes on there, behind what this thread does of the batch; this thread waits for it. Packet by packet the
 * results are the same; what programs count by the order of packets of several CPUs is not. A CPU without a thread is modelled here. Not with programs of the interpreter.
 *
 * Throws InputError `SLUICE_PATH` for options that are no path. A program that an engine stops ends its packet (`fault`), not the run. In the JIT a batch has the budget of the
 * first of the path's programs.
 */
export function* runPath(packets: Iterable<PathSource>, options: PathOptions): Generator<PathPacket, void, undefined> {
  const { hops, programs, runtime } = hopsOf(options);
  const flags = (options.gro === true ? PATH_GRO : 0) | (options.carryHints === true ? PATH_CARRIES_HINTS : 0);
  const block = new PathBlock(runtime, hops, BATCH + COPIES, flags);
  // Any engine's will do; the JIT's gives programs their budget.
  const { executable } = programs.find((program) => program.executable.entry !== 0) ?? programs[0]!;
  const enter = <T>(call: () => T) => executable.enter(call);
  const ingress = options.ingressIfindex ?? LOOPBACK_IFINDEX;
  const flight = new Flight(runtime.traits.flights);
  try {
    let index = 0;
    let indices: number[] = [];
    let refused: PathPacket[] = [];
    const flush = function* (): Generator<PathPacket, void, undefined> {
      const faults = new Map<number, unknown>();
      if (indices.length > 0)
        block.run(indices.length, enter, executable.fuel ?? 0, (item, error) => faults.set(item, error));
      const batch = indices.length === 0 ? [] : readBatch(block, indices.length, (item) => indices[item]!, faults);
      const all = refused.length === 0 ? batch : [...batch, ...refused].sort((a, b) => a.index - b.index);
      indices = [];
      refused = [];
      flight.renew();
      yield* all;
    };
    for (const packet of packets) {
      const error = refusal(packet.data.length);
      if (error !== undefined) refused.push(refusedPacket(index, packet, ingress, error));
      else {
        const { traits, data, ...origin } = packet;
        const item = indices.push(index) - 1;
        block.begin(item, data, { ...origin, ingressIfindex: packet.ingressIfindex ?? ingress });
        if (traits !== undefined) setTraits(runtime, 'xdp', block.frames.descriptor(item), traits);
      }
      index++;
      if (indices.length === BATCH || refused.length === BATCH) yield* flush();
    }
    yield* flush();
  } finally {
    flight.end();
    block.free();
  }
}

function refusedPacket(
  index: number,
  { data, ingressIfindex }: PathSource,
  ingress: number,
  error: InputError | UnsupportedError,
): PathPacket {
  return {
    index,
    steps: [],
    end: 'refused',
    interface: ingressIfindex ?? ingress,
    reason: error.message,
    error,
    data: data.slice(),
    metadata: new Uint8Array(),
    copies: [],
  };
}

const wrong = (text: string) => new InputError('SLUICE_PATH', text);

function hopsOf(options: PathOptions): { hops: Map<number, Hop>; programs: UserProgram[]; runtime: Runtime } {
  const hops = new Map<number, Hop>();
  const programs: UserProgram[] = [];
  const own = (program: ProgramHandle, types: readonly string[], place: string): UserProgram => {
    if (!types.includes(program.type))
      throw wrong(`${place} takes programs of type ${types.join(' or ')}; ${program.name} is of type ${program.type}`);
    if (!(program instanceof UserProgram))
      throw new UnsupportedError(
        'paths of programs in the kernel',
        `program ${program.name} is loaded in the kernel: a path is of the user-space target`,
      );
    if (programs[0] !== undefined && programs[0].runtime !== program.runtime)
      throw wrong(`programs ${programs[0].name} and ${program.name} are of two runtimes: load both into one`);
    programs.push(program);
    return program;
  };
  const add = (index: number, { xdp = [], tc = [] }: InterfacePrograms) => {
    if (!Number.isInteger(index) || index < 1 || index > 0x7fff_ffff)
      throw wrong(`interface ${index}: indexes count from 1`);
    if (hops.has(index)) throw wrong(`interface ${index} is the one that packets come in by: give its programs once`);
    hops.set(index, {
      xdp: xdp.map((link): XdpStage => {
        const { program, goesOn } = 'program' in link ? link : { program: link, goesOn: undefined };
        return { program: own(program, ['xdp'], 'xdp'), goesOn: maskOf(goesOn, xdp.length) };
      }),
      tc: tc.map((program) => own(program, ['sched_cls', 'sched_act'], 'tc')),
    });
  };
  add(options.ingressIfindex ?? LOOPBACK_IFINDEX, options);
  for (const [index, each] of Object.entries(options.interfaces ?? {})) add(Number(index), each);
  const [first] = programs;
  if (first === undefined) throw wrong('a path has at least one program');
  return { hops, programs, runtime: first.runtime };
}

/** A program that is alone is not dispatched: its verdict is the verdict. */
function maskOf(goesOn: readonly number[] | undefined, links: number): number {
  if (goesOn === undefined) return links === 1 ? 0 : GOES_ON_DEFAULT;
  let mask = 0;
  for (const verdict of goesOn) {
    if (!Number.isInteger(verdict) || verdict < 0 || verdict > 31)
      throw wrong(`a chain goes on after verdicts from 0 to 31, not ${verdict}`);
    mask |= 1 << verdict;
  }
  return mask >>> 0;
}
