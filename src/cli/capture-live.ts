/** A pcapng file that grows while packets come. Written in sections, which a pcapng file may have any number of. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { type CapturedPacket, LINKTYPE_ETHERNET, writePcapng } from '../net/capture.ts';
import type { PacketOption } from '../net/captured-packet.ts';

/** Bytes of packets that are kept until they are written. */
const SECTION_BYTES = 1 << 18;

export class LiveCapture {
  readonly #file: number;
  #packets: CapturedPacket[] = [];
  #bytes = 0;
  #sections = 0;

  constructor(path: string) {
    try {
      this.#file = openSync(path, 'w');
    } catch (error) {
      const why = `cannot be written: ${error instanceof Error ? error.message : error}`;
      throw new InputError('SLUICE_FILE', why, { input: path }, { cause: error });
    }
  }

  /** Takes a copy. `options`: of the packet, such as its traits. */
  add(data: Uint8Array, options: readonly PacketOption[] = []): void {
    this.#packets.push({
      data: data.slice(),
      timestampNs: BigInt(Date.now()) * 1_000_000n,
      wireLength: data.length,
      interfaceId: 0,
      linkType: LINKTYPE_ETHERNET,
      ...(options.length === 0 ? {} : { options }),
    });
    this.#bytes += data.length;
    if (this.#bytes >= SECTION_BYTES) this.#write();
  }

  close(): void {
    // An empty section makes an empty capture.
    if (this.#packets.length > 0 || this.#sections === 0) this.#write();
    closeSync(this.#file);
  }

  #write(): void {
    writeSync(this.#file, writePcapng(this.#packets));
    this.#packets = [];
    this.#bytes = 0;
    this.#sections++;
  }
}
