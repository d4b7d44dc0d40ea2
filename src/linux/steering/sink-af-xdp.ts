/** Packets out of a network interface by AF_XDP, without their headers: queue q by the interface's queue q, as far as it has as many. */
import { InputError } from '../../errors.ts';
import { XDP_FRAME_SIZE } from '../../plane/layout/frame.ts';
import { AfXdpSocket } from '../af-xdp.ts';
import { interfaceIndex } from '../netdev.ts';
import type { SinkFactory } from './sink.ts';

/**
 * Frames are copied into those of the socket. A device with offloads cannot be sent from: nothing would complete its checksums (InputError `SLUICE_STEER_AFXDP`).
 * `queues`: of the interface (default 1); queue q goes by q modulo it. Throws as AfXdpSocket.
 */
export function toAfXdp(interfaceName: string, interfaceQueues = 1): SinkFactory {
  return ({ runtime, block, queues }) => {
    if (block.bufferSize > XDP_FRAME_SIZE)
      throw new InputError(
        'SLUICE_STEER_AFXDP',
        `packets of up to ${block.bufferSize - block.headerSize} bytes do not fit a frame of ${XDP_FRAME_SIZE}: give the TAP no offloads, and an MTU of at most 3800`,
      );
    const ifindex = interfaceIndex(interfaceName);
    const sockets: AfXdpSocket[] = [];
    try {
      for (let queue = 0; queue < Math.min(queues, interfaceQueues); queue++)
        sockets.push(new AfXdpSocket(runtime, ifindex, { queue, frames: 2048 }));
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
    const socketOf = (queue: number) => sockets[queue % sockets.length]!;
    return {
      what: `AF_XDP on ${interfaceName}`,
      fdOf: (queue) => socketOf(queue).fd,
      deliver(queue) {
        const socket = socketOf(queue);
        while (block.waiting(queue) > 0) {
          const sent = block.plane.tap_transmit(block.address, queue, socket.address);
          if (sent > 0) block.release(queue, sent);
          socket.send();
          if (sent === 0) return;
        }
      },
      close() {
        for (const socket of sockets) {
          socket.send();
          socket.close();
        }
      },
    };
  };
}
