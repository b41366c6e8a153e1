"""A small disk of its own for a Postfix's queue, to run out of."""

from topology import call


class QueueDisk:
    SIZE = 32 << 20
    NEARLY = 24 << 20  # what is left is less than Postfix wants free before it takes a message

    def __init__(self, postfix):
        self.postfix = postfix
        self.folder = postfix.host.path("var/spool/postfix")
        self.file = self.folder / "full"
        postfix.stop()
        call("mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "queue", self.folder)
        postfix.make_folders()
        postfix.start()

    def fill(self, size=SIZE):
        """As far as there is room."""
        self.postfix.host.run("sh", "-c", f"head -c {size} /dev/zero >/var/spool/postfix/full",
                              check=False)

    def clear(self):
        self.file.unlink()

    def remove(self):
        self.postfix.stop()
        call("umount", self.folder)
        self.postfix.start()
