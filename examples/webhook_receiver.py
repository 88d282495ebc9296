import base64, hashlib, hmac, http.server, json, os, time

SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
newest = {}


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message_id, timestamp = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = f"{message_id}.{timestamp}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
        fits = any(hmac.compare_digest(expected, given) for given in self.headers["webhook-signature"].split())
        genuine = fits and abs(time.time() - int(timestamp)) < 300
        if genuine:
            resource, sequence = message_id.rsplit("_", 2)[0], json.loads(body)["data"].get("sequence", 0)
            if sequence > newest.get(resource, -1):
                newest[resource] = sequence
                print(body.decode(), flush=True)
        self.send_response(204 if genuine else 400)
        self.end_headers()


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
