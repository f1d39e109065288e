"""A server with the API of S3 (moto), for tests.

python tests/support/s3_stand_in.py ADDRESS PORT
"""

import sys
import threading

from moto.server import ThreadedMotoServer

if __name__ == "__main__":
    ThreadedMotoServer(ip_address=sys.argv[1], port=int(sys.argv[2])).start()
    threading.Event().wait()
