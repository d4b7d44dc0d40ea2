/** Static files over HTTP/1.1 (RFC 9112), GET and HEAD: each file by splice through a pipe, from the page cache to the socket. */
import { join, normalize } from 'node:path';
import { RequestError } from '../hooks/ring/request-error.ts';
import type { Ring } from '../ring.ts';

export interface FileServerResult {
  readonly accepted: number;
  readonly answered: number;
  readonly bytes: number;
}

const HEAD_MAX = 8192;
const PIPE_BYTES = 65536;
const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css',
  js: 'text/javascript',
  json: 'application/json',
  txt: 'text/plain; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  jpg: 'image/jpeg',
  wasm: 'application/wasm',
};

export class FileServer {
  readonly #ring: Ring;
  readonly #root: string;
  readonly #open = new Set<Promise<void>>();
  #accepted = 0;
  #answered = 0;
  #bytes = 0;

  /** `root`: an absolute path that ends in a separator. */
  constructor(ring: Ring, root: string) {
    this.#ring = ring;
    this.#root = root;
  }

  /** Until the signal aborts; connections are ended with it. */
  async serve(listener: number, signal: AbortSignal): Promise<FileServerResult> {
    try {
      for await (const { res: fd } of this.#ring.connections(listener, { signal })) {
        this.#accepted++;
        const connection = this.#serve(fd, signal).finally(() => this.#open.delete(connection));
        this.#open.add(connection);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    await Promise.allSettled(this.#open);
    return { accepted: this.#accepted, answered: this.#answered, bytes: this.#bytes };
  }

  async #serve(fd: number, signal: AbortSignal): Promise<void> {
    const head = Buffer.alloc(HEAD_MAX);
    let have = 0;
    try {
      for (;;) {
        let end = head.subarray(0, have).indexOf('\r\n\r\n');
        while (end < 0) {
          const got = have < HEAD_MAX ? await this.#ring.recv(fd, head.subarray(have), { signal }) : 0;
          if (got === 0) return;
          have += got;
          end = head.subarray(0, have).indexOf('\r\n\r\n');
        }
        const request = head.subarray(0, end).toString('latin1');
        const goesOn = await this.#answer(fd, request);
        head.copyWithin(0, end + 4, have);
        have -= end + 4;
        if (!goesOn) return;
      }
    } catch (error) {
      // The other side has gone, or the server is ending.
      if (!(error instanceof RequestError) && !signal.aborted) throw error;
    } finally {
      await this.#ring.closeFd(fd);
    }
  }

  /** False: the connection ends. */
  async #answer(fd: number, request: string): Promise<boolean> {
    const [method = '', target = ''] = request.split(' ', 2);
    const goesOn = !/^connection:\s*close/im.test(request) && !request.includes('HTTP/1.0');
    if (method !== 'GET' && method !== 'HEAD') {
      await this.#head(fd, '405 Method Not Allowed', 0, 'text/plain', goesOn);
      return goesOn;
    }
    const path = this.#path(target);
    const file = path === undefined ? undefined : await this.#find(path);
    if (file === undefined) {
      await this.#head(fd, '404 Not Found', 0, 'text/plain', goesOn);
      return goesOn;
    }
    try {
      const type = types[file.path.slice(file.path.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
      await this.#head(fd, '200 OK', file.size, type, goesOn);
      if (method === 'GET') await this.#send(file.fd, fd, file.size);
      return goesOn;
    } finally {
      await this.#ring.closeFd(file.fd);
    }
  }

  /** Undefined for what does not lie below the root. */
  #path(target: string): string | undefined {
    try {
      const name = decodeURIComponent(target.split('?', 1)[0]!);
      const path = normalize(join(this.#root, name.endsWith('/') ? `${name}index.html` : name));
      return name.includes('\0') || !path.startsWith(this.#root) ? undefined : path;
    } catch {
      return undefined;
    }
  }

  async #find(path: string): Promise<{ fd: number; size: number; path: string } | undefined> {
    let fd: number;
    try {
      fd = await this.#ring.open(path);
    } catch (error) {
      if (error instanceof RequestError) return undefined;
      throw error;
    }
    const stats = await this.#ring.stat(fd);
    if (stats.isFile()) return { fd, size: stats.size, path };
    await this.#ring.closeFd(fd);
    return undefined;
  }

  async #head(fd: number, status: string, length: number, type: string, goesOn: boolean): Promise<void> {
    const lines = [
      `HTTP/1.1 ${status}`,
      `Content-Length: ${length}`,
      `Content-Type: ${type}`,
      `Connection: ${goesOn ? 'keep-alive' : 'close'}`,
    ];
    let left = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
    while (left.length > 0) left = left.subarray(await this.#ring.send(fd, left));
    this.#answered++;
  }

  async #send(file: number, fd: number, size: number): Promise<void> {
    const { read, write } = await this.#ring.pipe();
    try {
      for (let offset = 0; offset < size; ) {
        const length = Math.min(PIPE_BYTES, size - offset);
        const filled = await this.#ring.splice(file, write, length, { inputOffset: offset });
        // Cut meanwhile: what was promised cannot be sent.
        if (filled === 0) throw new RequestError('splice', -61);
        for (let left = filled; left > 0; ) left -= await this.#ring.splice(read, fd, left);
        offset += filled;
        this.#bytes += filled;
      }
    } finally {
      await this.#ring.closeFd(read);
      await this.#ring.closeFd(write);
    }
  }
}
