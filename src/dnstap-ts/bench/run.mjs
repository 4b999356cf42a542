// node src/dnstap-ts/bench/run.mjs [receive|codec|paced]: the package's own benchmarks, as rows.
for (const name of process.argv.length > 2 ? process.argv.slice(2) : ['receive', 'codec', 'paced']) {
  const { run } = await import(`./${name}.mjs`);
  console.table(await run({ log: (text) => process.stderr.write(`bench: ${text}\n`) }));
}
