/** Packets of an interface for `sluice xdp trace`: AF_XDP takes them all, the path of programs here decides, and what it sends back leaves again. */
import type { PathPacket, PathSource } from '../hooks/path/index.ts';
import { load } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import { AfXdpAttachment } from '../linux/af-xdp-attachment.ts';
import type { LiveFrame } from '../linux/live-frame.ts';
import { writeObject } from '../object/write.ts';
import type { UserObject } from '../runtime/load.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { endedBy } from './ends.ts';
import { fillMaps, readMapInput } from './map-input.ts';
import { selectOne } from './selector.ts';
import type { TraceOptions } from './xdp-trace.ts';

/** Most packets that go through the path at a time. */
const ROUND = 256;

export class TracedInterface {
  readonly ifindex: number;
  readonly #attachment: AfXdpAttachment;
  readonly #taker: UserObject;

  static async open(runtime: Runtime, options: TraceOptions): Promise<TracedInterface> {
    // The frame goes back to the kernel: what the packet was is copied out before.
    const { insns, functions } = assemble('take:\nr0 = 1\nexit', { syntax: 'llvm' });
    const taker = await load(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), { runtime });
    try {
      return new TracedInterface(runtime, taker, options);
    } catch (error) {
      taker.close();
      throw error;
    }
  }

  private constructor(runtime: Runtime, taker: UserObject, options: TraceOptions) {
    this.#taker = taker;
    const selected = options.ingress === undefined ? undefined : selectOne(options.ingress);
    const contents = options.ingressMaps === undefined ? {} : readMapInput(options.ingressMaps);
    this.#attachment = new AfXdpAttachment(runtime, options.if!, taker.programs['take']!.executable, {
      ...(selected === undefined
        ? {}
        : {
            metadata: 'traits',
            ingress: {
              object: selected.object,
              program: selected.program.name,
              prepare: (object) => fillMaps(object, contents),
            },
          }),
    });
    this.ifindex = this.#attachment.sockets[0]!.ifindex;
  }

  /** Until a signal, `count` packets or `duration` seconds; `round` is given what has come. */
  async serve(
    { count = Number.POSITIVE_INFINITY, duration }: Pick<TraceOptions, 'count' | 'duration'>,
    round: (sources: readonly PathSource[]) => void,
  ): Promise<void> {
    const ending = endedBy(duration);
    let left = count;
    let sources: PathSource[] = [];
    const take = (frame: LiveFrame) => {
      const { traits } = frame;
      sources.push({
        data: frame.data.slice(),
        timestampNs: BigInt(Date.now()) * 1_000_000n,
        ingressIfindex: frame.ifindex,
        rxQueueIndex: frame.queue,
        ...(traits === undefined ? {} : { traits }),
      });
    };
    try {
      while (!ending.signal.aborted && left > 0) {
        this.#attachment.run(ROUND, take);
        if (sources.length === 0) {
          await this.#attachment.wait();
          continue;
        }
        round(sources.slice(0, left));
        left -= sources.length;
        sources = [];
        for (const socket of this.#attachment.sockets) socket.send();
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      ending.undo();
    }
  }

  /** Sends what the path sent back by this interface, copies too. */
  follow(packet: PathPacket): void {
    if (packet.end === 'sent' && packet.interface === this.ifindex) this.#attachment.sockets[0]!.transmit(packet.data);
    for (const copy of packet.copies) this.follow(copy);
  }

  async close(): Promise<void> {
    await this.#attachment.close();
    this.#taker.close();
  }
}
