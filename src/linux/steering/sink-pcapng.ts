/** Packets into pcapng files, one a queue, with queue and hash (Toeplitz) as options that Wireshark shows. */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InputError } from '../../errors.ts';
import { LINKTYPE_ETHERNET, writePcapng } from '../../net/capture.ts';
import { addressOf, syscall } from '../ffi.ts';
import { SyscallError } from '../syscall-error.ts';
import type { SinkFactory } from './sink.ts';

/** Of a file, before it is written. More than the longest packet. */
const BUFFER = 1 << 18;

/** Files `queue-N.pcapng` in `folder`, which is made. What is there of that name is overwritten. InputError `SLUICE_FILE`. */
export function toPcapng(folder: string): SinkFactory {
  return ({ runtime, block, queues }) => {
    const files: { fd: number; size: number; filled: number }[] = [];
    let memory = 0;
    const bytes = queues * BUFFER;
    try {
      // One at a time: Node goes on for ever making folders where none can be, as in /proc.
      mkdirSync(dirname(folder), { recursive: true });
      if (!existsSync(folder)) mkdirSync(folder);
      for (let queue = 0; queue < queues; queue++)
        files.push({ fd: openSync(join(folder, `queue-${queue}.pcapng`), 'w'), size: 0, filled: 0 });
    } catch (error) {
      for (const { fd } of files) closeSync(fd);
      const why = `cannot be written: ${error instanceof Error ? error.message : error}`;
      throw new InputError('SLUICE_FILE', why, { input: folder }, { cause: error });
    }
    memory = runtime.allocatePages(bytes);
    const base = addressOf(runtime.bytes());
    const write = (queue: number) => {
      const file = files[queue]!;
      for (let from = 0; from < file.filled; ) {
        const at = base + memory + queue * BUFFER + from;
        const written = syscall('pwrite64', file.fd, at, file.filled - from, file.size);
        if (written < 0) throw new SyscallError('write', -written, join(folder, `queue-${queue}.pcapng`));
        from += written;
        file.size += written;
      }
      file.filled = 0;
    };
    for (const [queue, file] of files.entries()) {
      const header = writePcapng([], { interfaces: [{ linkType: LINKTYPE_ETHERNET, name: `queue ${queue}` }] });
      runtime.bytes().set(header, memory + queue * BUFFER);
      file.filled = header.length;
    }
    const writeAll = () => {
      for (let queue = 0; queue < queues; queue++) write(queue);
    };
    return {
      what: `${folder}/queue-N.pcapng`,
      deliver(queue) {
        const file = files[queue]!;
        const time = BigInt(Date.now()) * 1_000_000n;
        while (block.waiting(queue) > 0) {
          const result = block.plane.tap_blocks(
            block.address,
            queue,
            memory + queue * BUFFER + file.filled,
            BUFFER - file.filled,
            Number(time >> 32n),
            Number(time & 0xffff_ffffn),
          );
          file.filled += Number(result & 0xffff_ffffn);
          const packets = Number(result >> 32n);
          if (packets > 0) block.release(queue, packets);
          if (block.waiting(queue) > 0) write(queue);
        }
      },
      rest: writeAll,
      close() {
        try {
          writeAll();
        } finally {
          for (const { fd } of files) closeSync(fd);
          runtime.freePages(memory, bytes);
        }
      },
    };
  };
}
