/** A checksum of what is read. */
import type { RingBase } from '../ring.ts';
import { SCAN_CRC, SCAN_CRC32, type ScanOptions, scan } from './scan.ts';

export interface ChecksumResult {
  /** CRC-32 as of zip, gzip, PNG and `crc32` of zlib, unsigned. */
  readonly crc32: number;
  readonly bytes: number;
}

/** CRC-32 of what descriptor `fd` gives until its end, read ahead while it is calculated. `seed` is the CRC of what came before. */
export function checksum(
  ring: RingBase,
  fd: number,
  options: ScanOptions & { readonly seed?: number } = {},
): Promise<ChecksumResult> {
  return scan(
    ring,
    'checksum',
    fd,
    SCAN_CRC32,
    options,
    (job) => job.u32(job.address, ~(options.seed ?? 0), SCAN_CRC),
    (job, bytes) => ({ crc32: ~job.getU32(SCAN_CRC) >>> 0, bytes }),
  );
}
