// Sockets of AF_XDP on CPUs: a turn takes what has arrived through the attached program; system calls are its owner's, who gives the socket and has it back when the turn has
// ended. The program is read once a batch of 64.
import { FRAMES_ENTRY } from '../../layout/frames';
import { FRAME_DESCRIPTOR_SIZE, FRAME_VERDICT } from '../../layout/frame';
import { WORKER_FUEL } from '../../layout/worker';
import {
  XSK_ATTACHMENT, XSK_BATCH, XSK_DOORBELL, XSK_FRAMES, XSK_TURN, XSK_TURN_LIMIT, XSK_TURN_PACKETS, XSK_TURN_STOPPED,
} from '../../layout/xsk';
import { xsk_dispose, xsk_fetch, xsk_run } from '../hooks/xsk';
import { xsk_wanted } from '../hooks/xsk-targets';
import { WORKER } from '../worker';
import { item_ends } from './inbox';

const XDP_PASS: u32 = 2;

/** A batch without a program: all pass. */
function pass(xsk: usize): u32 {
  const taken = xsk_fetch(xsk);
  let frame = <usize>load<u32>(xsk, XSK_FRAMES);
  for (let i: u32 = 0; i < taken; i++, frame += FRAME_DESCRIPTOR_SIZE) store<u32>(frame, XDP_PASS, FRAME_VERDICT);
  xsk_dispose(xsk);
  return taken;
}

function end(xsk: usize): void {
  const doorbell = <usize>load<u32>(xsk, XSK_DOORBELL);
  item_ends();
  atomic.store<u32>(xsk + XSK_TURN, 0);
  atomic.add<u32>(doorbell, 1);
  atomic.notify(doorbell, -1);
}

/** CPU_SOCKET. A batch that needs a target which is not there (xsk_wanted) ends it, and is not disposed. */
export function socket_run(xsk: usize): void {
  const attachment = <usize>load<u32>(xsk, XSK_ATTACHMENT);
  const limit = load<u32>(xsk, XSK_TURN_LIMIT);
  let done: u32 = 0;
  while (done < limit) {
    const program = atomic.load<u64>(attachment + FRAMES_ENTRY);
    const fuel = <u32>(program >> 32);
    if (fuel != 0) store<u32>(WORKER, fuel, WORKER_FUEL);
    const taken = <u32>program == 0 ? pass(xsk) : xsk_run(xsk, <u32>program, XSK_BATCH);
    done += taken;
    store<u32>(xsk, done, XSK_TURN_PACKETS);
    if (taken < <u32>XSK_BATCH || xsk_wanted(xsk) != 0) break;
  }
  end(xsk);
}

/** No thread runs the CPU: nothing was taken. */
export function socket_abandon(xsk: usize, why: u32): void {
  store<u32>(xsk, why, XSK_TURN_STOPPED);
  end(xsk);
}

/** The program was stopped: the frames of its batch are dropped (counted as aborted) from the one that it ran over on. */
export function socket_stopped(xsk: usize, why: u32): void {
  store<u32>(xsk, why, XSK_TURN_STOPPED);
  xsk_dispose(xsk);
  end(xsk);
}
