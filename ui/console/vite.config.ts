import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

// The tokens of ui/lib follow the system. The console has a switch: the same
// dark tokens, once more, for whoever chose them.
const themes: Plugin = {
  name: 'themes',
  enforce: 'pre',
  transform(css, id) {
    if (!id.endsWith('/lib/watchword.css')) return null;
    const dark = /@media \(prefers-color-scheme: dark\) \{\s*:root (\{[^}]*\})\s*\}/.exec(css);
    if (!dark) throw new Error('watchword.css has no dark tokens where they were');
    return css.replace(dark[0], `@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) ${dark[1]} }\n:root[data-theme="dark"] ${dark[1]}\n`);
  },
};

// The server sends what is compressed already.
const compressed: Plugin = {
  name: 'compressed',
  closeBundle() {
    const dir = join(import.meta.dirname, 'dist/assets');
    for (const name of readdirSync(dir).filter((n) => /\.(js|css)$/.test(n))) {
      const file = readFileSync(join(dir, name));
      writeFileSync(join(dir, `${name}.br`), brotliCompressSync(file, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      writeFileSync(join(dir, `${name}.gz`), gzipSync(file, { level: 9 }));
    }
  },
};

export default defineConfig({
  base: '/console/',
  plugins: [themes, compressed],
  resolve: { alias: { 'react-remove-scroll': join(import.meta.dirname, 'src/ui/scroll.tsx') } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the policy has no data: for scripts and styles
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000, // the budget is a test
    license: { fileName: 'licenses.md' },
    rolldownOptions: { onwarn: (w, say) => { if (w.code !== 'MODULE_LEVEL_DIRECTIVE') say(w); } }, // "use client" is for servers that draw
  },
  server: {
    host: '127.0.0.1',
    port: Number(process.env.CONSOLE_PORT ?? 5173),
    proxy: Object.fromEntries(['/admin', '/dev', '/login-assets', '/lib'].map((p) => [p, { target: process.env.WATCHWORD ?? 'http://127.0.0.1:8080', changeOrigin: false }])),
  },
});
