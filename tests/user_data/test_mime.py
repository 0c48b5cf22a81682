"""The golden texts of user data, read as cloud-init reads them: by Python's parser of mail.

The texts are written by the tests in tests/it/user_data.rs.
"""

import email
import unittest
from email import policy
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "golden" / "user_data"


class Mime(unittest.TestCase):
    """Each golden text."""

    def test_there_is_one_script(self) -> None:
        texts = sorted(GOLDEN.glob("*.txt"))
        self.assertGreaterEqual(len(texts), 3)
        for path in texts:
            with self.subTest(path.name):
                message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
                self.assertEqual(message.get_content_type(), "multipart/mixed")
                (part,) = message.iter_parts()
                self.assertEqual(part.get_content_type(), "text/x-shellscript")
                self.assertEqual(part.get_filename(), "tower-forge.sh")
                script = part.get_content()
                self.assertTrue(script.startswith("#!/bin/bash\n"))
                self.assertTrue(script.endswith("\nfinish\n"), script[-40:])
                self.assertEqual([*message.defects, *part.defects], [])

    def test_a_blank_line_stands_before_every_boundary(self) -> None:
        # AWS Batch asks for it: it puts a part of its own into the message.
        for path in GOLDEN.glob("*.txt"):
            with self.subTest(path.name):
                lines = path.read_text(encoding="ascii").split("\n")
                boundaries = [number for number, line in enumerate(lines) if line.startswith("--==")]
                self.assertEqual(len(boundaries), 2)
                self.assertEqual([lines[number - 1] for number in boundaries], ["", ""])


if __name__ == "__main__":
    unittest.main()
