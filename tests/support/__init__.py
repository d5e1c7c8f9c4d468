"""What tests are made of; no tests here."""
