/**
 * Frames that a source shares out to CPUs, some of which cpumaps send on: each is run by the CPUs that it is for, as often as it is to, those of a flow in their order, and comes back
 * once, when all that is. CPU 1 is the source; it fills the inboxes before the others begin, so that they are full.
 */
import { FRAME_DESCRIPTOR_SIZE } from '../../src/plane/layout/frame.ts';
import * as layout from '../../src/plane/layout/frames.ts';
import { WORKER_SIZE, WORKERS } from '../../src/plane/layout/memory.ts';
import { STEER_FRAME_QUEUE, STEER_FRAME_SIZE } from '../../src/plane/layout/steering.ts';
import { WORKER_INBOX } from '../../src/plane/layout/worker.ts';
import type { PlaneMap } from '../../src/runtime/maps/plane-map.ts';
import type { PlaneInstance } from '../../src/runtime/plane.ts';
import type { Scenario, Variant } from './scenario.ts';
import { stress } from './stress.ts';

/** One frame a lot at first: more than an inbox holds (INBOX_ROOM). */
const FRAMES = 2600;
const LOTS = FRAMES + 8;
/** How long the source waits for frames, in ms: longer than any of them takes. */
const PATIENCE = 1500;
/** Of each frame: runs, CPU of the last one, ticket of the first. */
const NOTE = 16;

type Places = Record<'source' | 'attachment' | 'frames' | 'records' | 'notes' | 'results' | 'shared', number>;

function prepare(places: Places, workers: number) {
  return (map: PlaneMap, plane: PlaneInstance) => {
    const take = (bytes: number) => plane.exports.pages_alloc(Math.ceil(bytes / 65536)) >>> 0;
    places.source = take(layout.SOURCE_SIZE + LOTS * layout.LOT_SIZE);
    places.attachment = take(layout.FRAMES_ATTACHMENT_SIZE);
    places.frames = take(FRAMES * FRAME_DESCRIPTOR_SIZE);
    places.records = take(FRAMES * STEER_FRAME_SIZE);
    places.notes = take(FRAMES * NOTE);
    places.results = take(FRAMES * layout.RESULT_SIZE);
    // Tickets by queue (64 apart), then: 1: CPUs may begin, 2: they may end.
    places.shared = take(65536);
    const inboxes = Array.from({ length: workers }, () => take(65536));
    const view = new DataView(plane.memory.buffer);
    const set = (at: number, value: number) => view.setUint32(at, value, true);
    // The first place of each thread's table that `program` takes.
    set(places.attachment + layout.FRAMES_ENTRY, 1);
    set(places.attachment + layout.FRAMES_FLAGS, layout.FRAMES_FOLLOW);
    const source = places.source;
    set(source + layout.SOURCE_ATTACHMENT, places.attachment);
    set(source + layout.SOURCE_QUEUES, workers - 1);
    set(source + layout.SOURCE_FRAMES, places.frames);
    set(source + layout.SOURCE_RESULTS, places.results);
    let next = 0;
    for (let lot = LOTS - 1; lot >= 0; lot--) {
      const at = source + Math.ceil(layout.SOURCE_SIZE / 64) * 64 + lot * layout.LOT_SIZE;
      set(at + layout.LOT_NEXT, next);
      next = at;
    }
    set(source + layout.SOURCE_FREE, next);
    for (let queue = 0; queue < workers - 1; queue++) {
      const cpu = queue + 2;
      set(source + layout.SOURCE_TARGETS + queue * layout.SOURCE_TARGET_SIZE + layout.TARGET_CPU, cpu);
      plane.exports.inbox_init(inboxes[queue]!);
      set(WORKERS + cpu * WORKER_SIZE + WORKER_INBOX, inboxes[queue]!);
      // The program is of the threads' tables alone: the map's own update knows none.
      set(places.shared + 32768, cpu);
      set(places.shared + 32772, 4096);
      set(places.shared + 32776, 1);
      plane.exports.map_update_user(map.address, places.shared + 32768, places.shared + 32772, 0);
    }
    for (let i = 0; i < FRAMES; i++)
      view.setUint16(places.records + i * STEER_FRAME_SIZE + STEER_FRAME_QUEUE, i % (workers - 1), true);
  };
}

export const frameScenario: Scenario = {
  name: 'frames are run once each by their CPUs, in order, and come back',
  run: async (variant: Variant) => {
    const workers = 3;
    const places: Places = { source: 0, attachment: 0, frames: 0, records: 0, notes: 0, results: 0, shared: 0 };
    const parameters: Record<string, number> = Object.assign(places, {
      count: FRAMES,
      patience: PATIENCE,
      note: NOTE,
      descriptor: FRAME_DESCRIPTOR_SIZE,
      record: STEER_FRAME_SIZE,
      result: layout.RESULT_SIZE,
      passed: layout.FRAME_ENDED_PASSED,
      verdict: layout.FRAME_ENDED_VERDICT,
    });
    await stress({
      map: { type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: workers + 1 },
      workers,
      rounds: 4,
      parameters,
      before: prepare(places, workers),
      timeout: 8000,
      ...variant,
      body: ({ cpu, workers: threads, rounds, map, view, parameters: p, program, call, meet, pause }) => {
        const { source, frames, records, notes, results, shared, count, patience } = p as Record<string, number> as {
          source: number;
          frames: number;
          records: number;
          notes: number;
          results: number;
          shared: number;
          count: number;
          patience: number;
        };
        const words = new Int32Array(view.buffer);
        const queues = threads - 1;
        const note = (i: number, field: number) => (notes + i * p['note']!) / 4 + field;
        // Every third goes on to the CPU behind its own.
        const goesTo = (i: number) => (i % 3 === 0 ? 2 + (((i % queues) + 1) % queues) : 0);
        program((frame) => {
          const i = (frame - frames) / p['descriptor']!;
          const runs = Atomics.add(words, note(i, 0), 1);
          if (runs > 1) throw new Error(`frame ${i} has been run ${runs + 1} times`);
          Atomics.store(words, note(i, 1), cpu);
          if (runs === 0) {
            Atomics.store(words, note(i, 2), Atomics.add(words, shared / 4 + (i % queues) * 16, 1));
            if (cpu !== 2 + (i % queues)) throw new Error(`frame ${i} was run by CPU ${cpu}`);
            if (goesTo(i) !== 0) return call('bpf_redirect_map', BigInt(map), BigInt(goesTo(i)), 0n);
          } else if (cpu !== goesTo(i)) throw new Error(`frame ${i} went on to CPU ${cpu}`);
          return 2;
        });
        const phase = shared / 4 + 4096;
        if (cpu !== 1) {
          // What the source says of the whole.
          while (Atomics.load(words, phase) === 0) Atomics.wait(words, phase, 0, 1);
          while (Atomics.load(words, phase) !== 2) {
            if (call('cpu_turn', 1 + (cpu & 1) * 63) === 0) Atomics.wait(words, phase, 1, 0.2);
            pause();
          }
          meet();
          return;
        }
        const give = (from: number, most: number) => {
          call('epoch_enter');
          const took = call('spread', source, frames + from * p['descriptor']!, most, records + from * p['record']!);
          call('epoch_exit');
          return took;
        };
        try {
          for (let round = 0; round < rounds; round++) {
            for (let i = 0; i < count; i++)
              for (let field = 0; field < 3; field++) Atomics.store(words, note(i, field), 0);
            for (let i = 0; i < count * (p['result']! / 4); i++) words[results / 4 + i] = 0;
            for (let queue = 0; queue < queues; queue++) Atomics.store(words, shared / 4 + queue * 16, 0);
            let given = 0;
            let back = 0;
            let waited = performance.now();
            while (back < count) {
              let took = 0;
              if (given < count) took = give(given, round === 0 ? 1 : Math.min(64, count - given));
              given += took;
              // The inboxes are full, or all is given.
              if (took === 0) Atomics.store(words, phase, 1);
              call('spread_flush', source);
              const came = call('spread_collect', source);
              back += came;
              if (took + came > 0) waited = performance.now();
              else if (performance.now() - waited > patience)
                throw new Error(`${back} of ${given} frames have come back`);
              pause();
            }
            const last = new Array<number>(queues).fill(-1);
            for (let i = 0; i < count; i++) {
              const at = (results + i * p['result']!) / 4;
              const wanted = [(goesTo(i) || 2 + (i % queues)) + 1, goesTo(i) === 0 ? p['verdict'] : p['passed']];
              if (words[at] !== wanted[0] || words[at + 1] !== wanted[1])
                throw new Error(`frame ${i} ended as ${words[at + 1]} on CPU ${words[at]! - 1}`);
              if (words[note(i, 0)] !== (goesTo(i) === 0 ? 1 : 2))
                throw new Error(`frame ${i}: ${words[note(i, 0)]} runs`);
              if (words[note(i, 2)]! <= last[i % queues]!) throw new Error(`frame ${i} has overtaken another`);
              last[i % queues] = words[note(i, 2)]!;
            }
          }
        } finally {
          Atomics.store(words, phase, 2);
        }
        meet();
      },
    });
  },
};
