"""What every part of alerting has: fields, texts, phrases, links, reasons and lines of mistakes."""
