// A CPU that ends in the middle of an operation, at each place where an engine may stop a thread: what it held is free, what it was changing is whole, and nothing else is lost.
import { describe, expect, it } from 'vitest';
import { recoveryMutations } from './mutations.ts';
import { countPlaces, goesOn, limitRounds, places, stopAt, stoppingPlane, switchMutation } from './stopping-plane.ts';
import { seeded, World } from './world.ts';

const SEED = Number(process.env.SLUICE_SEED ?? 1);
/** Operations on each part before the place is left aside as one that the part does not come by. */
const TRIES = 30;
/** One in so many places, by the seed; all with SLUICE_ALL. */
const SHARE = process.env.SLUICE_ALL === undefined ? 4 : 1;

/** Which places each part comes by, and how often in so many operations. */
function survey(world: World, seed: number): Map<string, Map<number, number>> {
  const found = new Map<string, Map<number, number>>();
  const random = seeded(seed);
  for (const part of world.parts) {
    const counts = () => new Uint32Array(world.plane.memory.buffer, world.counters, places.length);
    counts().fill(0);
    countPlaces(world.view, world.counters);
    for (let i = 0; i < TRIES; i++) if (!world.works(part, random)) endOf(world, part);
    found.set(part.name, new Map([...counts()].flatMap((n, place) => (n > 0 ? [[place, n]] : []))));
  }
  return found;
}

/** A program that ends where it stands is no stop of a place. */
function endOf(world: World, part: World['parts'][number]): void {
  world.recover();
  world.check(part, false);
}

/** Ends the CPU once at each place of each part, at a time by the seed; the places where it did end. */
function crashes(world: World, seed: number, share = 1, rounds = 0): Set<string> {
  const random = seeded(seed);
  const hit = new Set<string>();
  let last = '';
  try {
    for (const part of world.parts) {
      const began = performance.now();
      const comes = survey0!.get(part.name)!;
      for (const [place, count] of comes) {
        if (share > 1 && random(share) !== 0) continue;
        new Uint32Array(world.plane.memory.buffer, world.counters, places.length).fill(0);
        limitRounds(world.view, rounds);
        stopAt(world.view, place, 1 + random(Math.min(count, 8)));
        let stopped = false;
        for (let i = 0; i < TRIES && !stopped; i++) {
          stopped = !world.works(part, random);
          if (stopped && goesOn(world.view)) {
            endOf(world, part);
            stopped = false;
            stopAt(world.view, place, 1);
          }
        }
        goesOn(world.view);
        if (!stopped) continue;
        last = `${part.name}, stopped in ${places[place]}`;
        hit.add(last);
        world.recover();
        world.check(part, hit.size % 16 === 0);
        // The CPU works on.
        for (let i = 0; i < 3; i++) if (!world.works(part, random)) endOf(world, part);
        if (hit.size % 16 === 8) world.check(undefined);
      }
      if (process.env.SLUICE_TIMES !== undefined) console.log(part.name, comes.size, performance.now() - began);
    }
  } catch (error) {
    if (process.env.SLUICE_TIMES !== undefined) console.log((error as Error).stack);
    throw new Error(`${last}: ${(error as Error).message}`, { cause: error });
  }
  return hit;
}

let survey0: Map<string, Map<number, number>> | undefined;
/** All with SLUICE_ALL. */
const mutations = SHARE === 1 ? recoveryMutations : recoveryMutations.slice(0, 3);

describe('a CPU that ends in the middle', () => {
  it('leaves all maps whole, wherever it ends', () => {
    const world = new World(stoppingPlane(recoveryMutations));
    survey0 ??= survey(world, SEED);
    world.check(undefined);
    const hit = crashes(world, SEED, SHARE);
    expect(hit.size).toBeGreaterThan(SHARE === 1 ? 300 : 60);
    if (process.env.SLUICE_PLACES !== undefined) console.log([...hit].sort().join('\n'));
  }, 120_000);

  it.each(mutations.map((mutation, i) => [mutation.guard, i] as const))(
    'is found out without: %s',
    (_, i) => {
      survey0 ??= survey(new World(stoppingPlane(recoveryMutations)), SEED);
      expect(() => {
        for (let seed = 1; seed < 2; seed++) {
          const world = new World(stoppingPlane(recoveryMutations));
          world.check(undefined);
          switchMutation(world.view, i + 1);
          countPlaces(world.view, world.counters);
          crashes(world, SEED + seed, 1, 20_000_000);
        }
      }).toThrow();
    },
    60_000,
  );
});
