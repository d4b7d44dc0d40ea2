/** `--sink KIND:WHERE`: who takes the packets of the queues. */

import { type SinkFactory, toNobody } from '../linux/steering/sink.ts';
import { toAfXdp } from '../linux/steering/sink-af-xdp.ts';
import { toPcapng } from '../linux/steering/sink-pcapng.ts';
import { toUnixSockets } from '../linux/steering/sink-socket.ts';
import { toTaps } from '../linux/steering/sink-tap.ts';
import { UsageError } from './exit.ts';

export const sinkHelp =
  'none; pcapng:DIR, a file a queue; tap:NAME, a TAP with a queue each, or with %q in its name a TAP each; unix:PATH, connects to PATH.0, PATH.1, … (seqpacket or dgram), or where %q stands; afxdp:IF';

export function sinkOf(text: string): SinkFactory {
  if (text === 'none') return toNobody;
  const colon = text.indexOf(':');
  const where = text.slice(colon + 1);
  const kind = colon < 0 || where === '' ? '' : text.slice(0, colon);
  if (kind === 'pcapng') return toPcapng(where);
  if (kind === 'tap') return toTaps(where);
  if (kind === 'unix') return toUnixSockets(where);
  if (kind === 'afxdp') return toAfXdp(where);
  throw new UsageError(`--sink ${text}: ${sinkHelp}`);
}
