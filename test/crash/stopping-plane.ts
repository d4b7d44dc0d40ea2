/**
 * A plane whose CPUs other than 0 can be ended anywhere where an engine may stop a thread: where a function begins that is a function of the module's, and at each round of a
 * loop. Places are numbered; a place and the how-manieth time are chosen, and there the CPU traps, as a thread that is terminated would leave.
 */
import { ROOT } from '../../src/plane/layout/memory.ts';
import { builtPlane, mutate, planeSources, SWITCH } from '../stress/chaos-plane.ts';
import type { Mutation } from '../stress/mutations.ts';

// Words of the root that nothing else uses: place to stop at (none: NOWHERE), which time, address of counters by place.
const PLACE = ROOT + 4060;
const TIME = ROOT + 4064;
const COUNTERS = ROOT + 4068;
/** Rounds of loops and calls that are left to all CPUs, recovery among them; 0: any number. What a mutation leaves behind may go in circles. */
const LEFT = ROOT + 4072;
const NOWHERE = 0xffff_ffff;

/** Rooms whose functions change what CPUs share. */
const rooms =
  /^(maps|slab|fields|kfuncs\/(pool|list|rbtree|timer.*|arena-objects)|pages|cpus\/(run|turn|inbox)|locks)(\/|\.ts$|$)/;
/** Recovery itself, and what is no critical section of anybody's. */
const spared = /repair|recovery|report|locks\/held/;

const text = `
import { WORKER } from './worker';

export function goes_on(): void {
  const left = load<u32>(${LEFT});
  if (left == 0) return;
  if (left == 1) unreachable();
  store<u32>(${LEFT}, left - 1);
}

export function stop_here(place: u32): void {
  goes_on();
  if (load<u32>(WORKER) == 0) return;
  const counters = <usize>load<u32>(${COUNTERS});
  if (counters == 0) return;
  const at = counters + (<usize>place << 2);
  const times = load<u32>(at) + 1;
  store<u32>(at, times);
  if (load<u32>(${PLACE}) != place || times != load<u32>(${TIME})) return;
  store<u32>(${PLACE}, ${NOWHERE});
  unreachable();
}
`;

/** What each place is: file, function, and whether it is a round of a loop. */
export const places: string[] = [];

function withPlaces(file: string, source: string): string {
  const isSpared = spared.test(file);
  const stop = (what: string) => (isSpared ? 'goes_on()' : `stop_here(${places.push(`${file} ${what}`) - 1})`);
  const depth = file.split('/').length - 1;
  let current = '';
  let inlined = false;
  const lines = source.split('\n').map((line, i, all) => {
    const begins = /^(export |@inline )*function (\w+)\(/.exec(line);
    if (begins) {
      current = begins[2]!;
      inlined = line.includes('@inline') || (all[i - 1] ?? '').startsWith('@inline');
    }
    const opens = line.endsWith('{');
    const isBody = /^(export |@inline )*function /.test(line) ? opens : /^\)[^;]*\{$/.test(line);
    if (isBody && !inlined) return `${line}\n  ${stop(current)};`;
    if (/^ +(for|while) \(.*\) \{$/.test(line)) return `${line}\n  ${stop(`${current} loop`)};`;
    return line;
  });
  return `import { goes_on, stop_here } from '${depth === 0 ? './' : '../'.repeat(depth)}stop-here';\n${lines.join('\n')}`;
}

let built: { readonly module: WebAssembly.Module; readonly mutations: readonly Mutation[] } | undefined;

export function stoppingPlane(mutations: readonly Mutation[]): WebAssembly.Module {
  if (built?.mutations === mutations) return built.module;
  const texts = planeSources();
  mutate(texts, mutations);
  places.length = 0;
  for (const [file, source] of texts) if (rooms.test(file)) texts.set(file, withPlaces(file, source));
  texts.set('stop-here.ts', text);
  built = { module: builtPlane(texts, 'stopping'), mutations };
  return built.module;
}

/** Counts how often each place is come by from now on, into zeroed bytes at `counters`. */
export function countPlaces(view: DataView, counters: number): void {
  view.setUint32(PLACE, NOWHERE, true);
  view.setUint32(COUNTERS, counters, true);
}

/** The CPU ends at the place when it comes there the `time`th time, in all. */
export function stopAt(view: DataView, place: number, time: number): void {
  view.setUint32(PLACE, place, true);
  view.setUint32(TIME, time, true);
}

/** What runs from now on takes `rounds` rounds of loops and calls at most, or traps. */
export function limitRounds(view: DataView, rounds: number): void {
  view.setUint32(LEFT, rounds, true);
}

/** Whether it has not. */
export function goesOn(view: DataView): boolean {
  const on = view.getUint32(PLACE, true) !== NOWHERE;
  view.setUint32(PLACE, NOWHERE, true);
  return on;
}

export function switchMutation(view: DataView, number: number): void {
  view.setUint32(SWITCH, number, true);
}
