/**
 * Sockets of AF_XDP on CPUs that are threads: each socket, which is a queue, belongs to one of them, whose plane takes its packets through the attached program
 * (plane/assembly/cpus/sockets.ts). This thread makes the system calls, between a socket's turns: it waits for packets, and makes the kernel send.
 */
import { InputError } from '../errors.ts';
import type { FrameCpus, XdpAttachment } from '../hooks/xdp/index.ts';
import { CPU_SOCKET, STOPPED_BUDGET } from '../plane/layout/cpu.ts';
import { ProgramFault } from '../runtime/fault.ts';
import type { AfXdpSocket } from './af-xdp.ts';

/** CPUs that take sockets: `Cpus` of the package is one. */
export interface SocketCpus extends FrameCpus {
  send(cpu: number, kind: number, a: number): boolean;
}

export interface ServeOnCpusOptions {
  readonly signal?: AbortSignal;
  readonly count?: number;
}

/** Packets of a turn: so often at least this thread gets to send, and the CPU out of its epoch. */
const TURN_PACKETS = 1024;
/** How long this thread is kept from other work, at most. */
const TURN_MS = 1;

/**
 * Until the signal aborts or `count` packets were seen (a turn of each socket more may have been). `wait` resolves when packets may have come. Throws InputError `SLUICE_CPU` where no
 * thread runs a socket's CPU, and ProgramFault for a program that was stopped; the sockets are this thread's again in any case.
 */
export async function serveOnCpus(
  sockets: readonly AfXdpSocket[],
  cpus: SocketCpus,
  attachment: XdpAttachment,
  wait: () => Promise<void>,
  { signal, count = Number.POSITIVE_INFINITY }: ServeOnCpusOptions = {},
): Promise<number> {
  const { runtime, list } = cpus;
  if (list.length === 0) throw new InputError('SLUICE_CPU', 'there are no CPUs for the sockets: start some');
  const doorbell = runtime.allocatePages(4);
  const words = new Int32Array(runtime.plane.memory.buffer);
  const taken = new Set<AfXdpSocket>();
  let done = 0;
  /** Takes back what has ended; a fault where a program was stopped. */
  const takeBack = (): ProgramFault | undefined => {
    let fault: ProgramFault | undefined;
    for (const socket of [...taken]) {
      if (socket.isTaken) continue;
      taken.delete(socket);
      const { packets, stopped } = socket.endTurn();
      done += packets;
      if (stopped === 0) continue;
      fault = new ProgramFault(
        stopped === STOPPED_BUDGET ? 'SLUICE_FAULT_BUDGET' : 'SLUICE_FAULT_TRAP',
        attachment.program?.name ?? 'none',
        `stopped on the CPU of queue ${socket.queue}; run it in the interpreter to see the instruction and the address`,
      );
    }
    return fault;
  };
  try {
    let yielded = performance.now();
    while (signal?.aborted !== true && done < count) {
      const seen = Atomics.load(words, doorbell / 4);
      const fault = takeBack();
      if (fault !== undefined) throw fault;
      for (const [i, socket] of sockets.entries()) {
        if (taken.has(socket) || !socket.hasArrived) continue;
        socket.beginTurn(attachment.address, TURN_PACKETS, doorbell);
        const cpu = list[i % list.length]!;
        if (cpus.send(cpu, CPU_SOCKET, socket.address)) taken.add(socket);
        else {
          socket.cancelTurn();
          if (!cpus.list.includes(cpu)) throw new InputError('SLUICE_CPU', `no thread runs CPU ${cpu}`);
        }
      }
      if (taken.size === 0) {
        await wait();
        yielded = performance.now();
      } else if (performance.now() - yielded >= TURN_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        yielded = performance.now();
      } else Atomics.wait(words, doorbell / 4, seen, TURN_MS);
    }
    return done;
  } finally {
    for (;;) {
      const seen = Atomics.load(words, doorbell / 4);
      takeBack();
      if (taken.size === 0) break;
      Atomics.wait(words, doorbell / 4, seen, TURN_MS);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await runtime.synchronize();
    runtime.freePages(doorbell, 4);
  }
}
