/** What keeps frames on several CPUs whole: see mutations.ts. */
import type { Mutation } from './mutations.ts';

const frames = 'cpus/frames.ts';
const spread = 'cpus/spread.ts';
const mapFrames = 'cpus/map-frames.ts';
const mapQueue = 'cpus/map-queue.ts';

export const frameMutations: readonly Mutation[] = [
  {
    guard: 'a lot for which there is no room stays with its source',
    patches: [
      [
        spread,
        'if (cpu_send(cpu, CPU_FRAMES, <u32>lot, 0, 0, 0) == 0) {',
        'if (cpu_send(cpu, CPU_FRAMES, <u32>lot, 0, 0, 0) == 0 && !OFF) {',
      ],
    ],
  },
  {
    guard: 'a lot is sent once',
    patches: [
      [
        spread,
        '    add(source, SOURCE_FRAMES_SENT, count);\n',
        '    if (OFF) cpu_send(cpu, CPU_FRAMES, <u32>lot, 0, 0, 0);\n    add(source, SOURCE_FRAMES_SENT, count);\n',
      ],
    ],
  },
  {
    guard: 'a queue is one CPU',
    patches: [
      [
        spread,
        '  const target = targetAt(source, number);\n  let lot = <usize>load<u32>(target, TARGET_LOT);\n  if (lot != 0 &&',
        '  const target = targetAt(source, OFF ? (number + (<u32>frame >> 7)) % load<u32>(source, SOURCE_QUEUES) : number);\n  let lot = <usize>load<u32>(target, TARGET_LOT);\n  if (lot != 0 &&',
      ],
    ],
  },
  {
    guard: 'a source takes lots that are done',
    patches: [
      [
        spread,
        'while (lot != 0 && atomic.load<u32>(lot + LOT_STATE) != LOT_DONE) {',
        'while (lot != 0 && !OFF && atomic.load<u32>(lot + LOT_STATE) != LOT_DONE) {',
      ],
    ],
  },
  {
    guard: 'a lot is done when all of its frames are',
    patches: [
      [
        frames,
        'atomic.sub<u32>(lot + LOT_LEFT, ended) == ended)',
        '(atomic.sub<u32>(lot + LOT_LEFT, ended) == ended || OFF))',
      ],
    ],
  },
  {
    guard: 'frames that went on elsewhere have not ended',
    patches: [
      [
        frames,
        '  const ended = frames - load<u32>(lot, LOT_MOVED);',
        '  const ended = frames - (OFF ? 0 : load<u32>(lot, LOT_MOVED));',
      ],
    ],
  },
  {
    guard: 'a CPU is told of frames in its queue',
    patches: [
      [
        mapQueue,
        '  if ((atomic.load<u32>(queue + CPUMAP_QUEUE_STATE) & CPUMAP_QUEUE_SCHEDULED) == 0) queue_schedule(queue);',
        '  if (!OFF && (atomic.load<u32>(queue + CPUMAP_QUEUE_STATE) & CPUMAP_QUEUE_SCHEDULED) == 0) queue_schedule(queue);',
      ],
    ],
  },
  {
    guard: 'a frame is taken out of a queue once',
    patches: [
      [
        mapFrames,
        '  atomic.store<u32>(queue + CPUMAP_QUEUE_HEAD, head + 1);\n',
        '  if (!OFF || (head & 7) != 3) atomic.store<u32>(queue + CPUMAP_QUEUE_HEAD, head + 1);\n',
      ],
    ],
  },
];
