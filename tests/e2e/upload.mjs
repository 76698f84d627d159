// Uploads a file with tus-js-client as it comes, and prints what happens, one JSON document a line.
// node upload.mjs TOOLS OPTIONS, where OPTIONS is JSON: endpoint, token, file, urls, and perhaps chunkSize,
// whole (bytes with the beginning), dieAfter (a number of bytes after which this process is killed), abortAfter.
import fs from "node:fs";
import { createRequire } from "node:module";

const [tools, json] = process.argv.slice(2);
const { endpoint, token, file, urls, chunkSize, whole, dieAfter, abortAfter } = JSON.parse(json);
const tus = createRequire(`${tools}/`)("tus-js-client");

// Written at once, because this process may be killed right after it.
const tell = (what) => fs.writeSync(1, `${JSON.stringify(what)}\n`);

const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: "canary-file-name.jpg", filetype: "image/jpeg" },
  urlStorage: new tus.FileUrlStorage(urls),
  retryDelays: [0, 200, 500, 1000, 2000, 4000],
  ...(chunkSize ? { chunkSize } : {}),
  ...(whole ? { uploadDataDuringCreation: true } : {}),
  onAfterResponse: (request, response) =>
    tell({
      method: request.getMethod(),
      status: response.getStatus(),
      offset: response.getHeader("Upload-Offset"),
      expires: response.getHeader("Upload-Expires"),
      version: response.getHeader("Tus-Resumable"),
    }),
  onChunkComplete: async (_size, accepted) => {
    if (dieAfter && accepted >= dieAfter) process.kill(process.pid, "SIGKILL");
    if (abortAfter && accepted >= abortAfter) {
      await upload.abort(true);
      tell({ aborted: upload.url });
    }
  },
  onError: (error) => {
    tell({ error: error.message });
    process.exitCode = 1;
  },
  onSuccess: () => tell({ url: upload.url }),
});

const previous = await upload.findPreviousUploads();
if (previous.length > 0) upload.resumeFromPreviousUpload(previous[0]);
upload.start();
