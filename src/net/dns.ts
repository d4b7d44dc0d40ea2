/** DNS messages with one question (RFC 1035), as far as queries and answers without records go. */
import { concat, put16 } from './bytes.ts';
import type { Layer } from './packet.ts';

export interface DnsFields {
  /** `www.example.com`, without a dot at the end, or what stands in the place of a name. */
  readonly name: string | Uint8Array;
  /** QTYPE; default A (1). */
  readonly type?: number;
  readonly id?: number;
  /** Default RD (0x0100). */
  readonly flags?: number;
  /** Counts of the header; default 1 and 0. */
  readonly questions?: number;
  readonly answers?: number;
  /** UDP size of an OPT record (RFC 6891); none without. */
  readonly edns?: number;
}

/** A name on the wire: each label behind its length, then 0. */
export function dnsName(name: string): Uint8Array {
  const labels = name === '' ? [] : name.split('.');
  return concat([
    ...labels.flatMap((label) => {
      const octets = new TextEncoder().encode(label);
      return [Uint8Array.of(octets.length), octets];
    }),
    Uint8Array.of(0),
  ]);
}

export function dns(fields: DnsFields): Layer {
  return {
    encode(payload) {
      const header = new Uint8Array(12);
      put16(header, 0, fields.id ?? 0);
      put16(header, 2, fields.flags ?? 0x0100);
      put16(header, 4, fields.questions ?? 1);
      put16(header, 6, fields.answers ?? 0);
      put16(header, 10, fields.edns === undefined ? 0 : 1);
      const name = typeof fields.name === 'string' ? dnsName(fields.name) : fields.name;
      const kind = new Uint8Array(4);
      put16(kind, 0, fields.type ?? 1);
      put16(kind, 2, 1);
      // The root, type OPT, the size as its class.
      const opt = new Uint8Array(fields.edns === undefined ? 0 : 11);
      if (fields.edns !== undefined) {
        put16(opt, 1, 41);
        put16(opt, 3, fields.edns);
      }
      return concat([header, name, kind, opt, payload]);
    },
  };
}
