/** Packets written to TAPs, as the stack behind them receives them: one device with a queue each, or a device each. */
import { setInterfaceUp } from '../netdev.ts';
import { openTunQueues, TunQueue } from '../tun.ts';
import type { SinkFactory } from './sink.ts';

/**
 * `name` is that of a multi-queue device; with `%q`, which stands for the queue's number, there is a device for each. They are made where they are not there, and taken
 * up. The kernel remembers the queue (skb_get_rx_queue) and takes checksum and segmentation from the header, not the hash: no driver reads it.
 */
export function toTaps(name: string): SinkFactory {
  return ({ block, queues }) => {
    const options = { vnetHeader: 20, nonBlocking: false } as const;
    const outputs: TunQueue[] = [];
    try {
      if (name.includes('%q'))
        for (let queue = 0; queue < queues; queue++)
          outputs.push(new TunQueue(name.replaceAll('%q', String(queue)), options));
      else outputs.push(...openTunQueues(name, queues, options));
      for (const output of outputs) setInterfaceUp(output.name);
    } catch (error) {
      for (const output of outputs) output.close();
      throw error;
    }
    return {
      what: `TAP ${name}`,
      // Those that find the ring's queue full go with the next turn.
      deliver: (queue) => void block.plane.tap_write(block.address, queue, outputs[queue]!.fd),
      close() {
        for (const output of outputs) output.close();
      },
    };
  };
}
