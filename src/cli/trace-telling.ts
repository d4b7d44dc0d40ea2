/** What `sluice xdp trace` says: lines of the packets that the filters let through, and how all of them ended. */
import type { PathPacket, PathSource } from '../hooks/path/index.ts';
import { describePacket, fiveTuple } from '../net/dissect.ts';
import { type Output, table } from './output.ts';
import { type Condition, type FlowFilter, isDrop, isOfFlow, meets } from './trace-filter.ts';
import { lastProgram, stepsOf, type TraceNames, traitsByName, wayOf } from './trace-line.ts';

export interface TellingOptions {
  readonly flow?: FlowFilter;
  /** All must hold. */
  readonly where?: readonly Condition[];
  readonly drops?: boolean;
  readonly showTraits?: boolean;
}

export class Telling {
  readonly #names: TraceNames;
  readonly #options: TellingOptions;
  readonly #output: Output;
  readonly #told: unknown[] = [];
  readonly #ends = new Map<string, number>();
  #packets = 0;
  #shown = 0;

  constructor(names: TraceNames, options: TellingOptions, output: Output) {
    this.#names = names;
    this.#options = options;
    this.#output = output;
  }

  packet(source: PathSource, packet: PathPacket): void {
    this.#packets++;
    this.#count(packet);
    const { flow, where = [], drops } = this.#options;
    if (flow !== undefined && !isOfFlow(source.data, flow)) return;
    const family = [packet, ...packet.copies];
    if (!where.every((condition) => family.some((each) => meets(each, condition, this.#names.traits)))) return;
    if (drops === true && !family.some(isDrop)) return;
    this.#shown++;
    if (this.#output.json)
      this.#told.push({
        flow: fiveTuple(source.data) ?? null,
        packet: describePacket(source.data),
        ...this.#json(packet),
      });
    else this.#line(packet, numberOf(packet), firstInterface(source, packet));
  }

  end(): void {
    const ends = [...this.#ends].sort((a, b) => b[1] - a[1]);
    const rows = [['END', 'BY', 'PACKETS'], ...ends.map(([end, count]) => [...end.split('\n'), String(count)])];
    if (this.#shown > 0) this.#output.line();
    if (ends.length > 0) for (const row of table(rows)) this.#output.line(row);
    this.#output.line(`${this.#packets} packets, ${this.#shown} shown`);
    this.#output.document({
      schema: 'sluice.xdp-trace/1',
      packets: this.#packets,
      ends: ends.map(([end, count]) => {
        const [name, by] = end.split('\n');
        return { end: name, by: by === '' ? null : by, packets: count };
      }),
      ways: this.#told,
    });
  }

  #line(packet: PathPacket, number: string, at: number): void {
    const traits = this.#options.showTraits === true ? Object.entries(traitsByName(packet, this.#names)) : [];
    const values = traits.map(([name, value]) => ` ${name}=${toNumber(value)}`).join('');
    this.#output.line(`#${number} ${this.#names.interface(at)} ${wayOf(packet, this.#names)}${values}`);
    for (const [i, copy] of packet.copies.entries()) this.#line(copy, `${number}.${i + 1}`, at);
  }

  #json(packet: PathPacket): object {
    return {
      id: packet.packetId === undefined ? null : packet.packetId,
      index: packet.index,
      way: wayOf(packet, this.#names),
      steps: stepsOf(packet),
      end: packet.end,
      interface: this.#names.interface(packet.interface),
      by: lastProgram(packet) ?? null,
      ...(packet.reason === undefined ? {} : { reason: packet.reason }),
      bytes: packet.data.length,
      traits: traitsByName(packet, this.#names),
      ...(packet.skb === undefined ? {} : { mark: packet.skb.mark }),
      copies: packet.copies.map((copy) => this.#json(copy)),
    };
  }

  #count(packet: PathPacket): void {
    const by = isDrop(packet) || packet.end === 'consumed' ? (packet.reason ?? lastProgram(packet) ?? '') : '';
    const key = `${packet.end}\n${by}`;
    this.#ends.set(key, (this.#ends.get(key) ?? 0) + 1);
  }
}

function numberOf({ packetId, index }: PathPacket): string {
  return packetId === undefined ? `(${index})` : String(packetId);
}

function firstInterface(source: PathSource, packet: PathPacket): number {
  const first = packet.steps.find((step) => step.kind === 'xdp');
  return source.ingressIfindex ?? (first !== undefined && 'at' in first ? first.at : packet.interface);
}

/** Values of up to 8 bytes as numbers, longer ones as hex. */
function toNumber(value: Uint8Array): string {
  if (value.length === 0) return 'set';
  if (value.length > 8) return [...value].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return String(value.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n));
}
