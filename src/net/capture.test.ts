import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../errors.ts';
import { type CapturedPacket, readCapture, writePcap, writePcapng } from './capture.ts';
import { generateCapture } from './generator.ts';
import { commentOption, comments, queueOption, verdictOption } from './pcapng-options.ts';

const anyPacket: fc.Arbitrary<CapturedPacket> = fc
  .record({
    data: fc.uint8Array({ maxLength: 70 }),
    timestampNs: fc.bigInt({ min: 0n, max: 0xffff_ffffn * 1_000_000_000n + 999_999_999n }),
    cut: fc.nat(2000),
  })
  .map(({ data, timestampNs, cut }) => ({
    data,
    timestampNs,
    wireLength: data.length + cut,
    interfaceId: 0,
    linkType: 1,
  }));

const byteOrder = fc.constantFrom('little' as const, 'big' as const);

/** Packets that came before the fault, and the fault. */
function readUntilFault(bytes: Uint8Array): { packets: CapturedPacket[]; fault: unknown } {
  const packets: CapturedPacket[] = [];
  try {
    for (const packet of readCapture(bytes, 'x.pcap')) packets.push(packet);
  } catch (fault) {
    return { packets, fault };
  }
  return { packets, fault: undefined };
}

describe('pcap', () => {
  it('reads back what it writes, in both byte orders and resolutions', () => {
    fc.assert(
      fc.property(fc.array(anyPacket, { maxLength: 8 }), byteOrder, fc.boolean(), (packets, order, micro) => {
        const bytes = writePcap(packets, { byteOrder: order, resolution: micro ? 'us' : 'ns' });
        const expected = packets.map((p) =>
          micro ? { ...p, timestampNs: p.timestampNs - (p.timestampNs % 1000n) } : p,
        );
        expect([...readCapture(bytes)]).toEqual(expected);
      }),
    );
  });

  it('reads a file as libpcap writes it', () => {
    // Big-endian, microseconds, one packet of 3 bytes at 1.000002 s, cut from 60.
    const hex = 'a1b2c3d4 00020004 00000000 00000000 00040000 00000001 00000001 00000002 00000003 0000003c aabbcc';
    const bytes = Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    expect([...readCapture(bytes)]).toEqual([
      {
        data: Uint8Array.of(0xaa, 0xbb, 0xcc),
        timestampNs: 1_000_002_000n,
        wireLength: 60,
        interfaceId: 0,
        linkType: 1,
      },
    ]);
  });

  it('gives views, not copies', () => {
    const bytes = writePcap(generateCapture({ seed: 1, count: 1 }));
    const [first] = readCapture(bytes);
    expect(first!.data.buffer).toBe(bytes.buffer);
    expect(first!.data.byteOffset).toBe(40);
  });

  it('says where a record is too long, after the packets before it', () => {
    const bytes = writePcap(generateCapture({ seed: 2, count: 2 }));
    const second = 24 + 16 + generateCapture({ seed: 2, count: 1 })[0]!.data.length;
    new DataView(bytes.buffer).setUint32(second + 8, 0x7fff_ffff, true);
    const { packets, fault } = readUntilFault(bytes);
    expect(packets).toHaveLength(1);
    expect(fault).toMatchObject({ code: 'SLUICE_CAPTURE_RECORD', location: { input: 'x.pcap', offset: second + 8 } });
  });

  it('refuses what a pcap file cannot hold', () => {
    const [packet] = generateCapture({ seed: 3, count: 1 });
    const code = (change: Partial<CapturedPacket>) => {
      try {
        writePcap([packet!, { ...packet!, ...change }]);
        return 'written';
      } catch (error) {
        return (error as InputError).code;
      }
    };
    expect(code({})).toBe('written');
    expect(code({ linkType: 101 })).toBe('SLUICE_CAPTURE_LINKTYPE');
    expect(code({ timestampNs: 1n << 63n })).toBe('SLUICE_CAPTURE_TIMESTAMP');
    expect(code({ timestampNs: -1n })).toBe('SLUICE_CAPTURE_TIMESTAMP');
    expect(code({ data: new Uint8Array(262_145) })).toBe('SLUICE_CAPTURE_RECORD');
  });
});

describe('pcapng', () => {
  const withOptions: fc.Arbitrary<CapturedPacket> = fc
    .tuple(anyPacket, fc.nat(3), fc.string(), fc.nat(6), fc.nat(0xffff))
    .map(([packet, interfaceId, text, verdict, queue]) => ({
      ...packet,
      interfaceId,
      options: [commentOption(text), verdictOption('xdp', verdict), queueOption(queue)],
    }));

  it('reads back what it writes, options included, in both byte orders', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(anyPacket, withOptions), { maxLength: 8 }), byteOrder, (packets, order) => {
        expect([...readCapture(writePcapng(packets, { byteOrder: order }))]).toEqual(packets);
      }),
    );
    const text = 'verdict XDP_DROP: Regel 7 für 203.0.113.1';
    const [packet] = readCapture(
      writePcapng([{ ...generateCapture({ seed: 1, count: 1 })[0]!, options: [commentOption(text)] }]),
    );
    expect(comments(packet!)).toEqual([text]);
  });

  const u16 = (value: number) => Buffer.from([value & 0xff, value >> 8]);
  const u32 = (value: number) => Buffer.concat([u16(value & 0xffff), u16(value >>> 16)]);
  const block = (type: number, ...body: Buffer[]) => {
    const all = Buffer.concat(body);
    return Buffer.concat([u32(type), u32(all.length + 12), all, u32(all.length + 12)]);
  };
  const section = block(0x0a0d0d0a, u32(0x1a2b3c4d), u16(1), u16(0), u32(0xffff_ffff), u32(0xffff_ffff));
  const device = (linkType: number, snapLength: number, ...options: Buffer[]) =>
    block(1, u16(linkType), u16(0), u32(snapLength), ...options);
  const resolution = (value: number) => Buffer.concat([u16(9), u16(1), Buffer.of(value, 0, 0, 0)]);
  const enhanced = (id: number, time: number, data: Buffer) =>
    block(6, u32(id), u32(0), u32(time), u32(data.length), u32(data.length), data, Buffer.alloc(-data.length & 3));

  it('knows time resolutions, time offsets, simple packets, unknown blocks and further sections', () => {
    const offset = Buffer.concat([u16(14), u16(8), u32(10), u32(0)]);
    const bytes = Buffer.concat([
      section,
      device(1, 2),
      device(101, 0, resolution(0x83), offset),
      block(0x0bad, Buffer.from('1234')),
      enhanced(0, 7, Buffer.from('abcde')),
      enhanced(1, 12, Buffer.from('f')),
      block(3, u32(900), Buffer.from('gh\0\0')),
      block(2, u16(1), u16(0), u32(0), u32(8), u32(1), u32(5), Buffer.from('i\0\0\0')),
      section,
      device(113, 0, resolution(3)),
      enhanced(0, 7, Buffer.from('j')),
    ]);
    const seen = [...readCapture(bytes)].map((p) => [
      Buffer.from(p.data).toString(),
      p.timestampNs,
      p.wireLength,
      p.interfaceId,
      p.linkType,
    ]);
    expect(seen).toEqual([
      ['abcde', 7_000n, 5, 0, 1],
      ['f', 11_500_000_000n, 1, 1, 101],
      ['gh', 0n, 900, 0, 1],
      ['i', 11_000_000_000n, 5, 1, 101],
      ['j', 7_000_000n, 1, 2, 113],
    ]);
  });

  it('says what is wrong with a block, and where', () => {
    const good = Buffer.concat([section, device(1, 0), enhanced(0, 1, Buffer.from('abcd'))]);
    const faults: [Buffer, string, number][] = [
      [enhanced(1, 1, Buffer.from('x')), 'SLUICE_CAPTURE_BLOCK', good.length + 8],
      [block(6, u32(0), u32(0)), 'SLUICE_CAPTURE_BLOCK', good.length],
      [block(6, u32(0), u32(0), u32(0), u32(5), u32(5), u32(0)), 'SLUICE_CAPTURE_BLOCK', good.length + 28],
      [block(6, u32(0), u32(0), u32(0), u32(0), u32(0), u16(1), u16(9)), 'SLUICE_CAPTURE_BLOCK', good.length + 28],
      [Buffer.concat([u32(7), u32(16), u32(0), u32(12)]), 'SLUICE_CAPTURE_BLOCK', good.length + 12],
      [Buffer.concat([u32(7), u32(13), u32(0), u32(13)]), 'SLUICE_CAPTURE_BLOCK', good.length + 4],
      [Buffer.concat([u32(7), u32(0), u32(0)]), 'SLUICE_CAPTURE_BLOCK', good.length + 4],
      [u32(7), 'SLUICE_CAPTURE_TRUNCATED', good.length],
      [Buffer.concat([u32(0x0a0d0d0a), u32(28), u32(0x1234)]), 'SLUICE_CAPTURE_FORMAT', good.length + 8],
    ];
    for (const [bytes, code, offset] of faults) {
      const { packets, fault } = readUntilFault(Buffer.concat([good, bytes]));
      expect(packets).toHaveLength(1);
      expect(fault).toMatchObject({ code, location: { offset } });
    }
  });
});

describe('hostile captures', () => {
  const files = [writePcap, writePcapng].map((write) => write(generateCapture({ seed: 4, count: 12 })));

  it('gives out the good packets of a file cut anywhere, then an InputError', () => {
    for (const [index, file] of files.entries()) {
      const whole = [...readCapture(file)].map(({ data }) => data);
      let good = 0;
      for (let length = 0; length < file.length; length++) {
        const { packets, fault } = readUntilFault(file.subarray(0, length));
        expect(packets.at(-1)?.data).toEqual(whole[packets.length - 1]);
        if (fault === undefined) good++;
        else expect(fault).toBeInstanceOf(InputError);
      }
      // Cuts that leave a good file: behind the header (of pcapng: of the section, of the interface) and behind 11 packets.
      expect(good).toBe([12, 13][index]);
    }
  });

  it('throws nothing but InputError whatever bytes change', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (file, changes) => {
          const bytes = file.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const { fault } = readUntilFault(bytes);
          if (fault !== undefined) expect(fault).toBeInstanceOf(InputError);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

const tcpdump = spawnSync('tcpdump', ['--version']).status === 0;
const tshark = spawnSync('tshark', ['--version']).status === 0;

describe('other readers', () => {
  let directory = '';
  const packets = generateCapture({ seed: 5, count: 200 });
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'sluice-capture-'));
    writeFileSync(join(directory, 'ns.pcap'), writePcap(packets));
    writeFileSync(join(directory, 'us-big.pcap'), writePcap(packets, { resolution: 'us', byteOrder: 'big' }));
    writeFileSync(join(directory, 'ns.pcapng'), writePcapng(packets));
    writeFileSync(join(directory, 'big.pcapng'), writePcapng(packets, { byteOrder: 'big' }));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const files = ['ns.pcap', 'us-big.pcap', 'ns.pcapng', 'big.pcapng'];

  it.skipIf(!tcpdump).each(files)(
    `tcpdump reads the same packets from %s${tcpdump ? '' : ' (skipped: no tcpdump)'}`,
    (name) => {
      // -xx prints every byte of each packet; 0x0000: ... lines of up to 16 bytes.
      const { stdout, status } = spawnSync(
        'tcpdump',
        ['-r', join(directory, name), '-nn', '-tt', '-xx', '--time-stamp-precision=nano'],
        { encoding: 'utf8', maxBuffer: 1 << 26 },
      );
      expect(status).toBe(0);
      const seen = stdout.split(/^(?=\d+\.\d+ )/m).map((text) => {
        const hex = [...text.matchAll(/^\t0x[0-9a-f]+: {2}(.*)$/gm)].map((m) => m[1]!.replaceAll(' ', '')).join('');
        return { time: text.split(' ')[0]!.replace('.', ''), hex };
      });
      const micro = name.startsWith('us');
      expect(seen).toEqual(
        packets.map(({ data, timestampNs }) => ({
          time: String(micro ? timestampNs - (timestampNs % 1000n) : timestampNs),
          hex: Buffer.from(data).toString('hex'),
        })),
      );
    },
  );

  it.skipIf(!tshark).each(files)(
    `tshark counts the same lengths in %s${tshark ? '' : ' (skipped: no tshark)'}`,
    (name) => {
      const { stdout, status } = spawnSync('tshark', ['-r', join(directory, name), '-T', 'fields', '-e', 'frame.len'], {
        encoding: 'utf8',
      });
      expect(status).toBe(0);
      expect(stdout.trim().split('\n').map(Number)).toEqual(packets.map(({ data }) => data.length));
    },
  );
});
