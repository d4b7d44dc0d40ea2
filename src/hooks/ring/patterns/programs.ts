/** Programs and memory of the patterns on one ring: objects are loaded once for each thread of a runtime, attached once to each ring. */
import { readObject } from '../../../object/index.ts';
import { loadUser, type UserObject } from '../../../runtime/load.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { patternObjects } from '../../generated/pattern-objects.ts';
import { iouringHook } from '../hook.ts';
import type { RingBase } from '../ring.ts';
import { SharedMemory } from './shared-memory.ts';

export type PatternName = keyof typeof patternObjects;

interface RunningJob {
  readonly stop: () => void;
  readonly settled: Promise<unknown>;
}

const ofRings = new WeakMap<RingBase, RingPatterns>();
const ofRuntimes = new WeakMap<Runtime, Map<PatternName, Promise<UserObject>>>();

async function load(runtime: Runtime, name: PatternName): Promise<UserObject> {
  const bytes = Uint8Array.from(atob(patternObjects[name]), (c) => c.charCodeAt(0));
  return loadUser(runtime, [iouringHook], readObject(bytes, `pattern ${name}`));
}

export class RingPatterns {
  readonly ring: RingBase;
  readonly memory: SharedMemory;
  readonly #numbers = new Map<PatternName, number>();
  readonly #loading = new Map<PatternName, Promise<number>>();
  readonly #running = new Set<RunningJob>();
  readonly #own: UserObject[] = [];

  constructor(ring: RingBase) {
    this.ring = ring;
    this.memory = new SharedMemory(ring.runtime, ring.programs);
    ring.onClose({
      stop: async () => {
        const running = [...this.#running];
        for (const { stop } of running) stop();
        await Promise.allSettled(running.map(({ settled }) => settled));
      },
      release: () => {
        this.memory.close();
        for (const object of this.#own.splice(0)) object.close();
      },
    });
  }

  static of(ring: RingBase): RingPatterns {
    let patterns = ofRings.get(ring);
    if (patterns === undefined) {
      patterns = new RingPatterns(ring);
      ofRings.set(ring, patterns);
    }
    return patterns;
  }

  /** Number on the ring of the pattern's program; undefined: it has to be loaded first. */
  number(name: PatternName): number | undefined {
    return this.#numbers.get(name);
  }

  load(name: PatternName): Promise<number> {
    let loading = this.#loading.get(name);
    if (loading === undefined) {
      loading = this.#attach(name);
      this.#loading.set(name, loading);
    }
    return loading;
  }

  /** A ring that is closed stops it first. Returns what takes it off again. */
  add(job: RunningJob): () => void {
    this.#running.add(job);
    return () => void this.#running.delete(job);
  }

  async #attach(name: PatternName): Promise<number> {
    const [number] = this.ring.programs.attach(await this.#object(name)).values();
    this.#numbers.set(name, number!);
    return number!;
  }

  /** Programs keep what they look at in variables: those that run on threads of their own have objects of their own. */
  async #object(name: PatternName): Promise<UserObject> {
    const { runtime, backend } = this.ring;
    if (backend.thread !== undefined) {
      const object = await load(runtime, name);
      this.#own.push(object);
      return object;
    }
    let objects = ofRuntimes.get(runtime);
    if (objects === undefined) {
      objects = new Map();
      ofRuntimes.set(runtime, objects);
    }
    let object = objects.get(name);
    if (object === undefined) {
      object = load(runtime, name);
      objects.set(name, object);
    }
    return object;
  }
}
