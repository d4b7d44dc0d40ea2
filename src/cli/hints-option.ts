/** Options for what a driver says of packets: hints as text or a file, and modelled devices. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { type DeviceName, deviceNames, deviceOf } from '../hooks/xdp/device.ts';
import type { CapturedPacket } from '../net/captured-packet.ts';
import type { RunInput, XdpHints } from '../runtime/handles.ts';
import { hintsFromJson, hintsFromText } from '../runtime/hints.ts';
import { UsageError } from './exit.ts';
import { choiceOption } from './options.ts';
import { readJson } from './selector.ts';

export interface HintsOptions {
  /** Text, or path of a JSON file: hints of all packets, or a list of each packet's. */
  readonly hints?: string;
  readonly device?: DeviceName;
}

export function addHints(command: Command): void {
  command
    .option(
      '--hints <file|name=v,…>',
      'what a driver knows of XDP packets in user space: timestamp (ns), hash, type, vlan, protocol; JSON: one such object, or a list, one a packet',
    )
    .option(
      '--device <name>',
      `with --pcap: what XDP packets come through in user space: ${deviceNames.join(', ')} (default: capture, which knows when they came)`,
      choiceOption(deviceNames),
    );
}

/** Input of the packet with this index. Throws UsageError where the options do not go together, InputError `SLUICE_HINTS`. */
export type WithHints = (
  packet: Pick<CapturedPacket, 'data' | 'timestampNs'>,
  index: number,
) => RunInput & { readonly data: Uint8Array };

/** For programs of type xdp. */
export function hintsOf({ hints, device }: HintsOptions, isCapture: boolean): WithHints {
  if (device !== undefined && !isCapture)
    throw new UsageError('--device takes --pcap FILE; of one packet give --hints');
  if (device !== undefined && hints !== undefined)
    throw new UsageError('give --hints or --device: a device has hints of its own');
  if (hints !== undefined) {
    const given = parsed(hints);
    return ({ data }, index) => {
      const of = Array.isArray(given) ? given[index] : given;
      return of === undefined ? { data } : { data, hints: of };
    };
  }
  const through = deviceOf(device ?? (isCapture ? 'capture' : 'none'));
  return (packet) => {
    const { data, hints: known } = through.receive(packet);
    return known === undefined ? { data } : { data, hints: known };
  };
}

function parsed(text: string): XdpHints | readonly XdpHints[] {
  if (text.includes('=') && !existsSync(text)) return hintsFromText(text);
  if (text === 'none') return {};
  const json = readJson(text);
  return Array.isArray(json)
    ? json.map((each: unknown, i) => hintsFromJson(each, `${text}: [${i}]`))
    : hintsFromJson(json, text);
}
