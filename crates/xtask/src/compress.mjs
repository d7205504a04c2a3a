// Writes NAME.br and NAME.gz beside every file of the given folder that shrinks by it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const kinds = /\.(js|wasm|css|svg|txt|html|json|webmanifest|xml)$/;
const folder = process.argv.at(-1);
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

for (const name of readdirSync(folder, { recursive: true }).sort()) {
  if (!kinds.test(name)) continue;
  const path = join(folder, name);
  const plain = readFileSync(path);
  const brotli = brotliCompressSync(plain, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
    },
  });
  const gzip = gzipSync(plain, { level: constants.Z_BEST_COMPRESSION });
  if (brotli.length < plain.length) writeFileSync(`${path}.br`, brotli);
  if (gzip.length < plain.length) writeFileSync(`${path}.gz`, gzip);
  console.log(`    ${name}: ${kilobytes(plain.length)}, brotli ${kilobytes(brotli.length)}, gzip ${kilobytes(gzip.length)}`);
}
