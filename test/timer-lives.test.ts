/** Who holds programs with timers: a timer with a callback does, armed or not, as in the kernel; it ends with its element, by a cancellation, and when user space lets go of the map. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Cpus, load, Runtime, type UserObject } from '../src/index.ts';
import { openById } from '../src/linux/bpf.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { close } from '../src/linux/ffi.ts';
import { programInfoOf } from '../src/linux/info.ts';
import { loadLinux } from '../src/linux/load.ts';
import { readObject } from '../src/object/index.ts';
import { ROOT, ROOT_CLOCK_FROZEN } from '../src/plane/layout/memory.ts';
import type { LoadedObject, MapHandle } from '../src/runtime/handles.ts';
import type { UserProgram } from '../src/runtime/program.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const refusal = bpfRefusal();
const noKernel = refusal === undefined ? '' : ` (skipped: ${refusal})`;
const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const MS = 1_000_000n;
const ours = ['arm', 'arm_far', 'queue_work'];
const theirs = ['cancel', 'take_over', 'remove'];

function compile() {
  const source = readFileSync(folder('objects/timer-lives.bpf.c'), 'utf8');
  const flags = ['-nostdinc', `-I${folder('../bpf/include')}`];
  return readObject(compileBpf(source, { flags, ...(clangs[0] === undefined ? {} : { clang: clangs[0] }) }), 'lives');
}

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

/** One target: two objects that share the map. */
interface Place {
  /** Has timers, and nobody but them holds its programs once it is closed. */
  readonly own: LoadedObject;
  readonly other: LoadedObject;
  run(object: LoadedObject, name: string): Promise<number>;
  /** The timer that is due within 20 ms, or the work, has run. */
  later(): Promise<void>;
  /** The program that `own` had is there still. */
  isLoaded(): boolean;
}

type Step = (place: Place) => unknown;
interface Case {
  readonly name: string;
  readonly arm: 'arm' | 'arm_far' | 'queue_work';
  /** What happens once `own` is closed. */
  readonly happens: Step;
  /** Its program is held after that too. */
  readonly holds?: boolean;
}

const cases: readonly Case[] = [
  { name: 'fires', arm: 'arm', happens: ({ later }) => later(), holds: true },
  { name: 'is cancelled', arm: 'arm_far', happens: ({ run, other }) => run(other, 'cancel') },
  {
    name: 'fires, and is cancelled then',
    arm: 'arm',
    happens: async ({ run, other, later }) => {
      await later();
      return run(other, 'cancel');
    },
  },
  {
    name: 'is given a callback of another program',
    arm: 'arm_far',
    happens: async ({ run, other, later }) => {
      const result = await run(other, 'take_over');
      await later();
      return result;
    },
  },
  { name: 'loses its element to a program', arm: 'arm_far', happens: ({ run, other }) => run(other, 'remove') },
  { name: 'loses its element to user space', arm: 'arm_far', happens: ({ other }) => other.maps.keep!.delete(1) },
  {
    name: 'has its value written over',
    arm: 'arm_far',
    happens: ({ other }) => other.maps.keep!.set(1, other.maps.keep!.get(1)!),
  },
  { name: 'loses its map', arm: 'arm_far', happens: ({ other }) => other.close() },
  { name: 'has work to do', arm: 'queue_work', happens: ({ later }) => later(), holds: true },
  {
    name: 'has worked, and loses its element',
    arm: 'queue_work',
    happens: async ({ later, other }) => {
      await later();
      return other.maps.keep!.delete(1);
    },
  },
];

async function gone(place: Place): Promise<boolean> {
  for (let i = 0; i < 2000 && place.isLoaded(); i++) await sleep(1);
  return !place.isLoaded();
}

const fired = (map: MapHandle) => (map.get(1) as { fired: bigint } | undefined)?.fired;

async function play({ arm, happens, name, holds }: Case, place: Place) {
  const armed = await place.run(place.own, arm);
  place.own.close();
  await sleep(1);
  const held = place.isLoaded();
  const outcome = await happens(place);
  const heldAfter = holds === true ? place.isLoaded() : !(await gone(place));
  const last = name === 'loses its map' ? undefined : fired(place.other.maps.keep!);
  place.other.close();
  return { armed, held, outcome, heldAfter, last, gone: await gone(place) };
}

/** `cpus`: threads that run the programs, `own` on CPU 1 and `other` on CPU 2. */
async function user(engine: 'jit' | 'interpreter', runtime: Runtime, cpus?: Cpus): Promise<Place> {
  const own: UserObject = await load(compiled!, { engine, runtime, programs: ours });
  const { keep } = own.maps;
  const other = await load(compiled!, { engine, runtime, programs: theirs, maps: { keep: keep! } });
  const entry = (own.programs['arm'] as UserProgram).executable.tailEntry;
  open.push(() => other.close());
  return {
    own,
    other,
    run: async (object, name) => {
      const program = object.programs[name] as UserProgram;
      const run = cpus === undefined ? program.run({}) : await cpus.run(program, {}, object === own ? 1 : 2);
      return run.returnValue;
    },
    later: async () => {
      const now = runtime.view().getBigUint64(ROOT + ROOT_CLOCK_FROZEN, true);
      runtime.setClock(now + 40n * MS);
    },
    isLoaded: () => {
      const held = runtime.lives.hold(entry);
      if (held) runtime.lives.release(entry);
      return held;
    },
  };
}

async function linux(): Promise<Place> {
  const own = loadLinux(compiled!, { programs: ours });
  const other = loadLinux(compiled!, { programs: theirs, maps: { keep: own.maps['keep']! } });
  const ids = Object.values(own.programs).map(({ fd }) => programInfoOf(fd).id);
  open.push(() => other.close());
  return {
    own,
    other,
    run: async (object, name) => object.programs[name]!.run({}).returnValue,
    later: async () => {
      for (let i = 0; i < 5000 && fired(other.maps['keep']!) === 0n; i++) await sleep(1);
    },
    isLoaded: () =>
      ids.some((id) => {
        const fd = openById('program', id);
        if (fd !== undefined) close(fd);
        return fd !== undefined;
      }),
  };
}

const compiled = noClang === '' ? compile() : undefined;
const clock = { at: MS };
let shared: { readonly runtime: Runtime; readonly cpus: Cpus } | undefined;
const places = [
  ['in the JIT', () => user('jit', new Runtime({ clock }))],
  ['in the interpreter', () => user('interpreter', new Runtime({ clock }))],
  ['on other CPUs', () => user('jit', shared!.runtime, shared!.cpus)],
] as const;

describe.skipIf(noClang !== '')(`programs whose timer${noClang}`, () => {
  beforeAll(async () => {
    const runtime = new Runtime({ clock, cpus: 3 });
    shared = { runtime, cpus: await Cpus.start(runtime) };
  });
  afterAll(() => shared?.cpus.close());

  it.skipIf(refusal !== undefined).each(cases)(`$name: held as in the kernel${noKernel}`, async (each) => {
    const expected = await play(each, await linux());
    expect(expected).toMatchObject({ held: true, heldAfter: each.holds === true, gone: true });
    for (const [where, place] of places)
      expect({ where, ...(await play(each, await place())) }).toEqual({ where, ...expected });
  });

  it.skipIf(refusal !== undefined)(`nobody reaches: as in the kernel${noKernel}`, async () => {
    const outcomes = [];
    for (const place of [linux, ...places.map(([, each]) => each)]) {
      const { own, other, run, isLoaded, later } = await place();
      const armed = await run(own, 'arm_far');
      // The programs have the map still; user space does not.
      own.maps.keep!.close();
      other.maps.keep!.close();
      const left = [await run(other, 'cancel'), await run(own, 'arm'), await run(own, 'queue_work')];
      own.close();
      other.close();
      outcomes.push({ armed, left, isLoaded: isLoaded() && !(await gone({ own, other, run, isLoaded, later })) });
    }
    const [expected] = outcomes;
    expect(expected!.isLoaded).toBe(false);
    expect(outcomes).toEqual(Array(4).fill(expected));
  });
});
