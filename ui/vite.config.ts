import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Relative, so that the UI also works behind a proxy that serves it under a path.
  base: './',
  plugins: [
    svelte({
      compilerOptions: {
        // The default hashes the file's path; hashing what is in it builds the same bytes anywhere.
        cssHash: ({ hash, css }) => `s-${hash(css)}`,
      },
    }),
  ],
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    // The server's Content-Security-Policy allows files of its own only: nothing inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    sourcemap: false,
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
