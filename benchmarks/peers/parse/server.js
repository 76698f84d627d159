// The smallest Parse Server, as its documentation builds it: BENCHMARK_DSN, BENCHMARK_SECRET, BENCHMARK_PORT.
import express from "express";
import { ParseServer } from "parse-server";

const url = `http://127.0.0.1:${process.env.BENCHMARK_PORT}/parse`;
const server = new ParseServer({
  databaseURI: process.env.BENCHMARK_DSN,
  appId: "benchmark",
  masterKey: process.env.BENCHMARK_SECRET,
  serverURL: url,
  silent: true,
  logLevel: "error",
});
await server.start();
const app = express();
app.use("/parse", server.app);
app.listen(Number(process.env.BENCHMARK_PORT), "127.0.0.1");
