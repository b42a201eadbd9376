mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
}

variables {
  name            = "slipway-test"
  vpc_id          = "vpc-1"
  subnet_ids      = ["subnet-1", "subnet-2"]
  client_group_id = "sg-nodes"
  key_arn         = "arn:aws:kms:us-east-1:123456789012:key/1"
  log_days        = 30
  protected       = true
  emulated        = false
  settings = {
    version = "17.6", instance_class = "db.t4g.micro", multi_az = true, storage_gib = 20, storage_max_gib = 100, backup_days = 14
  }
}

run "private_encrypted_and_without_a_password_of_ours" {
  command = plan

  module {
    source = "./modules/database"
  }

  assert {
    condition     = !aws_db_instance.this.publicly_accessible
    error_message = "the database has a public address"
  }
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == var.key_arn && aws_db_instance.this.performance_insights_kms_key_id == var.key_arn
    error_message = "the database's storage is not encrypted with the environment's key"
  }
  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "the password is not RDS's own"
  }
  assert {
    condition     = anytrue([for one in aws_db_parameter_group.this.parameter : one.name == "rds.force_ssl" && one.value == "1"])
    error_message = "connections may be unencrypted"
  }
  assert {
    condition     = toset(aws_db_subnet_group.this.subnet_ids) == toset(var.subnet_ids)
    error_message = "the database stands in other subnets than the private ones"
  }
}

run "only_members_of_a_group_come_in" {
  command = plan

  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-nodes" && aws_vpc_security_group_ingress_rule.nodes.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.nodes.cidr_ipv6 == null
    error_message = "the rule names addresses"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.nodes.from_port == 5432 && aws_vpc_security_group_ingress_rule.nodes.to_port == 5432
    error_message = "more than PostgreSQL's port is open"
  }
}

run "protected_is_not_deleted_by_mistake" {
  command = plan

  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot && !aws_db_instance.this.delete_automated_backups
    error_message = "a protected database can be deleted, or goes without a snapshot"
  }
}

run "the_last_snapshot_has_a_name_of_its_own" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = can(regex("^slipway-test-final-[0-9a-f]{8}$", aws_db_instance.this.final_snapshot_identifier))
    error_message = "a second destroy would find the snapshot of the first and fail"
  }
}

run "which_later_plans_do_not_change" {
  command = plan

  module {
    source = "./modules/database"
  }

  # A name that each plan makes anew would not be known here.
  assert {
    condition     = aws_db_instance.this.final_snapshot_identifier == run.the_last_snapshot_has_a_name_of_its_own.final_snapshot
    error_message = "every plan changes the name"
  }
}

run "another_database_gets_another_name" {
  state_key = "another"

  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_db_instance.this.final_snapshot_identifier != run.the_last_snapshot_has_a_name_of_its_own.final_snapshot
    error_message = "two databases leave snapshots of one name"
  }
}

run "unprotected_leaves_nothing" {
  command = plan

  module {
    source = "./modules/database"
  }

  variables {
    protected = false
  }

  assert {
    condition     = !aws_db_instance.this.deletion_protection && aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.delete_automated_backups
    error_message = "an unprotected database cannot be destroyed in one go"
  }
}
